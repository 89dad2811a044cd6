"""`/status`: everything an operator asks about upstreams, as one JSON document.

Field names `status`, `checks`, `version` are borrowed from the expired draft-inadarei-api-health-check.
Times are RFC 3339; durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from streamroute import __version__
from streamroute.clock import now, wall, wall_iso
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.upstream_health import RecentError
from streamroute.core.upstream import Route, Upstream

if TYPE_CHECKING:
    from streamroute.server.site import Site


def status_document(site: "Site") -> dict[str, object]:
    """Return the state of the process and of every upstream."""
    catalog, board = site.dispatcher.directory.catalog, site.dispatcher.board
    upstreams = {name: _upstream(upstream, board) for name, upstream in catalog.upstreams.items()}
    simulated = [name for name, upstream in catalog.upstreams.items() if upstream.is_simulated]
    is_well = all(entry["standing"] == "healthy" and entry["can_ask"] for entry in upstreams.values())
    return {
        "status": "fail" if site.is_draining else "pass" if is_well else "warn",
        "version": __version__,
        "started_at": wall_iso(site.started_at),
        "uptime_s": round(wall() - site.started_at, 3),
        "is_draining": site.is_draining,
        "in_flight": site.dispatcher.in_flight,
        "simulated": {
            "is_in_use": bool(simulated),
            "upstreams": simulated,
            "notice": "answers of these upstreams are made up" if simulated else None,
        },
        "config": site.config_facts,
        "routes": {name: _route(route) for name, route in catalog.routes.items()},
        "upstreams": upstreams,
        "disabled": dict(catalog.disabled),
    }


def _route(route: Route) -> dict[str, object]:
    return {
        "upstreams": list(route.upstreams),
        "plan": route.plan,
        "retry": asdict(route.retry),
        "deadlines": asdict(route.deadlines),
    }


def _upstream(upstream: Upstream, board: HealthBoard) -> dict[str, object]:
    at = now()
    standing = board.standing(upstream, at)
    health = board.health(upstream.id, at)
    figures, breaker = health.figures(), health.breaker
    return {
        "provider": upstream.provider,
        "model": upstream.model,
        "failure_domain": upstream.failure_domain,
        "is_simulated": upstream.is_simulated,
        "standing": standing.kind,
        "can_ask": standing.can_ask,
        "until": _moment(standing.until, at),
        "breaker": {
            "state": breaker.state,
            "since": _moment(breaker.changed_at, at),
            "reopens_at": _moment(breaker.reopens_at, at),
        },
        "in_flight": figures.in_flight,
        "attempts": {
            "total": figures.attempts,
            "succeeded": figures.succeeded,
            "failed": figures.failed,
            "cancelled": figures.cancelled,
        },
        "recent": {
            "error_ratio": figures.error_ratio,
            "ttft_p50_s": figures.ttft_p50_s,
            "ttft_p95_s": figures.ttft_p95_s,
        },
        "last_success_at": _moment(figures.last_success_at, at),
        "last_errors": [_error(error, at) for error in figures.recent_errors],
    }


def _error(error: RecentError, at: float) -> Mapping[str, object]:
    return {
        "at": _moment(error.ended_at, at),
        "kind": error.kind,
        "http_status": error.http_status,
        "message": error.message,
    }


def _moment(moment: float | None, at: float) -> str | None:
    """Turn a monotonic time into wall time; `at` is now on the monotonic clock."""
    return None if moment is None else wall_iso(wall() + moment - at)
