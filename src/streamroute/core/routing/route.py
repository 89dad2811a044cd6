"""From the name in a request's `model` to the upstreams that may serve it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamroute.core.upstream import Capabilities, CredentialId, ProviderName, Route, Upstream, UpstreamId

AUTO = "auto"
"""The `model` of a client that leaves the choice to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """What a model that is named as `provider/model` inherits from its provider."""

    name: ProviderName
    is_simulated: bool = False
    residency: str | None = None
    """The region that it keeps what it is sent in."""
    limits_by_model: bool = False
    """The provider counts rate limits per model, not per credential."""
    capabilities: Capabilities = Capabilities()
    """Of all its models."""

    def credential(self, model: str) -> CredentialId:
        """Return whose quota a call to `model` draws on."""
        return CredentialId(f"{self.name}/{model}" if self.limits_by_model else self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that a client can name."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    upstreams: Mapping[UpstreamId, Upstream] = field(default_factory=dict)
    providers: Mapping[ProviderName, ProviderFacts] = field(default_factory=dict)
    auto: Route | None = None
    """What `model = "auto"` means where no route is called that: whoever fits the request best."""
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Names of routes, upstreams and providers that are configured but cannot serve, and why."""

    @property
    def served(self) -> Mapping[str, Route]:
        """All routes, the one that nobody has named included."""
        return self.routes if self.auto is None else {**self.routes, AUTO: self.auto}

    def names(self) -> list[str]:
        """Return what clients can put in `model`, routes first."""
        auto = [] if self.auto is None or AUTO in self.routes else [AUTO]
        return [*self.routes, *auto, *self.upstreams]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No route, upstream or provider goes by that name, or the one that does cannot serve."""

    name: str
    disabled_because: str | None = None


def find_route(name: str, catalog: Catalog) -> tuple[Route, tuple[Upstream, ...]] | Unknown:
    """Resolve `model`: a route, else an upstream, else `provider/model`."""
    route = catalog.routes.get(name)
    if route is None and name == AUTO:
        route = catalog.auto
    if route is not None:
        return route, tuple(catalog.upstreams[upstream] for upstream in route.upstreams)
    upstream = find_upstream(name, catalog)
    if upstream is not None:
        return Route(name=name, upstreams=(upstream.id,)), (upstream,)
    reason = catalog.disabled.get(name) or catalog.disabled.get(name.partition("/")[0])
    return Unknown(name=name, disabled_because=reason)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that is closest to `name`."""
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return matches[0] if matches else None


def find_upstream(name: str, catalog: Catalog) -> Upstream | None:
    """Return the upstream of that name: a configured one, or `provider/model`."""
    upstream = catalog.upstreams.get(UpstreamId(name))
    if upstream is not None:
        return upstream
    prefix, _, model = name.partition("/")
    facts = catalog.providers.get(ProviderName(prefix))
    return None if facts is None or not model else _upstream_of(facts, model, catalog)


def _upstream_of(facts: ProviderFacts, model: str, catalog: Catalog) -> Upstream:
    """Return the configured upstream of that provider and model, or one about which nothing else is known."""
    for upstream in catalog.upstreams.values():
        if upstream.provider == facts.name and upstream.model == model:
            return upstream
    return Upstream(
        id=UpstreamId(f"{facts.name}/{model}"),
        provider=facts.name,
        model=model,
        credential=facts.credential(model),
        failure_domain=facts.name,
        capabilities=facts.capabilities,
        is_simulated=facts.is_simulated,
        residency=facts.residency,
    )
