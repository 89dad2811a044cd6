"""Observations and upstreams, filled in with plain values."""

from typing import Any

from streamroute.core.observation import AttemptObservation, RequestObservation
from streamroute.core.outcome import Failure, FailureKind
from streamroute.core.upstream import CredentialId, ProviderName, Upstream, UpstreamId


def upstream(name: str = "a", *, credential: str = "lab", provider: str = "lab", **more: Any) -> Upstream:
    """Make an upstream."""
    return Upstream(
        id=UpstreamId(name),
        provider=ProviderName(provider),
        model=f"{name}-model",
        credential=CredentialId(credential),
        failure_domain=provider,
        **more,
    )


def attempt(of: Upstream | None = None, **more: Any) -> AttemptObservation:
    """Make the observation of an attempt that succeeded, unless told otherwise."""
    whose = of or upstream()
    values: dict[str, Any] = {
        "request_id": "r1",
        "attempt": 1,
        "route": "chat",
        "upstream": whose.id,
        "provider": whose.provider,
        "credential": whose.credential,
        "model": whose.model,
        "stream": True,
        "outcome": "succeeded",
        "ended_at": 1.0,
        "duration_s": 0.5,
    }
    return AttemptObservation(**{**values, **more})


def failed_attempt(
    kind: FailureKind, of: Upstream | None = None, *, retry_after_s: float | None = None, **more: Any
) -> AttemptObservation:
    """Make the observation of an attempt that failed."""
    failure = Failure(kind=kind, message=f"it was {kind}", http_status=None, retry_after_s=retry_after_s)
    return attempt(of, outcome="failed", failure=failure, **more)


def request(**more: Any) -> RequestObservation:
    """Make the observation of a request that was answered, unless told otherwise."""
    values: dict[str, Any] = {
        "request_id": "r1",
        "route": "chat",
        "stream": True,
        "outcome": "succeeded",
        "attempts": 1,
        "failovers": (),
        "upstream": UpstreamId("a"),
        "provider": ProviderName("lab"),
        "route_s": 0.001,
        "ttft_s": 0.2,
        "duration_s": 0.5,
    }
    return RequestObservation(**{**values, **more})
