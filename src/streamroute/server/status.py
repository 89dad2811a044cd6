"""`/status`: everything an operator asks about upstreams, as one JSON document.

Field names `status`, `checks`, `version` are borrowed from the expired draft-inadarei-api-health-check.
Times are RFC 3339; durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from streamroute import __version__
from streamroute.clock import now, wall, wall_iso
from streamroute.core.caller import Caller
from streamroute.core.health.board import HealthBoard
from streamroute.core.routing.figures import figures_document
from streamroute.core.routing.route import Catalog, find_upstream
from streamroute.core.upstream import Route, Upstream, UpstreamId
from streamroute.server.budget_status import budget_status
from streamroute.server.gate_status import gate_status
from streamroute.server.key_status import key_status
from streamroute.server.learned import learned_status
from streamroute.server.shown import moment, shown, shown_fields

if TYPE_CHECKING:
    from streamroute.server.site import Site

_EVIDENCE = (
    "slowness_nats", "decode_nats", "error_nats", "waiting_nats", "threshold_nats", "trend_per_s", "breach_in_s",
)  # fmt: skip
NAMED_SHOWN = 50
"""Of the models that clients name as `provider/model`, the latest; all that are configured are shown."""
_RECENT = ("error_ratio", "ttft_p50_s", "ttft_p95_s", "ttft_p99_s", "tpot_p50_s")


def status_document(site: "Site", caller: Caller) -> dict[str, object]:
    """Return the state of the process and of every upstream; to operators, also of every key."""
    catalog, board, at = site.dispatcher.directory.catalog, site.dispatcher.board, now()
    shown_upstreams = {**catalog.upstreams, **_named(board, catalog)}
    upstreams = {name: upstream_status(site, upstream) for name, upstream in shown_upstreams.items()}
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
        "budget": shown(site.dispatcher.budget.figures(at), at),
        "prober": _prober(site),
        "ledger": None if (ledger := site.ledger()) is None else asdict(ledger),
        "bidders": [] if site.dispatcher.bidding is None else site.dispatcher.bidding.figures(),
        "price_feeds": [asdict(each) for each in site.price_feeds()],
        "keys": key_status(site) if caller.is_admin else None,
        "budgets": budget_status(site) if caller.is_admin else None,
        "local_trouble_until": moment(board.local_trouble_until, at),
        "health": asdict(board.options),
        "routes": {name: _route(site, route, catalog, at) for name, route in catalog.served.items()},
        "upstreams": upstreams,
        "routing": _routing(site),
        "disabled": dict(catalog.disabled),
    }


def upstream_status(site: "Site", upstream: Upstream) -> dict[str, object]:
    """Return what is known of one upstream."""
    at, board, policy = now(), site.dispatcher.board, site.prober.policy
    standing = board.standing(upstream, at)
    estimate = board.estimate(upstream, at, prompt_tokens=0)
    health = board.health(upstream.id, at)
    figures, breaker = health.figures(), health.breaker
    named = shown_fields(figures, at)
    return {
        "provider": upstream.provider,
        "model": upstream.model,
        "failure_domain": upstream.failure_domain,
        "is_simulated": upstream.is_simulated,
        "standing": standing.kind,
        "can_ask": standing.can_ask,
        "until": moment(standing.until, at),
        "risk": round(standing.risk, 4),
        "reason": standing.reason or None,
        "breaker": {
            "state": breaker.state,
            "reason": breaker.reason or None,
            "since": moment(breaker.changed_at, at),
            "reopens_at": moment(breaker.reopens_at, at),
            "is_forced": breaker.is_forced,
            "openings": breaker.openings,
            "share": breaker.share(at),
        },
        "in_flight": figures.in_flight,
        "expected": shown_fields(estimate, at, without=frozenset({"ttft", "in_flight"})),
        "attempts": {
            "total": figures.attempts,
            "succeeded": figures.succeeded,
            "failed": figures.failed,
            "cancelled": figures.cancelled,
        },
        "recent": {name: named[name] for name in _RECENT},
        "evidence": {name: named[name] for name in _EVIDENCE},
        "score": named["score"],
        "rate_limit": _rate_limit(board, upstream, at),
        "retry_tokens": site.dispatcher.budget.tokens_of(upstream.id),
        "probes": {
            "next_at": moment(policy.next_at(upstream.id), at),
            "cost_usd": round(policy.cost_usd(upstream.id), 6),
        },
        "last_success_at": moment(figures.last_success_at, at),
        "last_errors": [
            {
                "at": moment(error.ended_at, at),
                "kind": error.kind,
                "http_status": error.http_status,
                "message": error.message,
            }
            for error in figures.recent_errors
        ],
    }


def _named(board: HealthBoard, catalog: Catalog) -> dict[UpstreamId, Upstream]:
    """Return the models that clients name as `provider/model`: the latest, and what an operator has drained."""
    named = [id_ for id_ in board.known() if id_ not in catalog.upstreams]
    latest = set(named[-NAMED_SHOWN:])
    found = {id_: find_upstream(id_, catalog) for id_ in named if id_ in latest or id_ in board.drained}
    return {id_: upstream for id_, upstream in found.items() if upstream is not None}


def _rate_limit(board: HealthBoard, upstream: Upstream, at: float) -> Mapping[str, object] | None:
    headroom = board.headroom(upstream.credential)
    if headroom is None:
        return None
    return {
        "credential": upstream.credential,
        "share": shown(headroom.share(at), at),
        "exhausted_in_s": shown(headroom.exhausted_in_s(at), at),
    }


def _route(site: "Site", route: Route, catalog: Catalog, at: float) -> dict[str, object]:
    upstreams = [catalog.upstreams[upstream] for upstream in route.upstreams]
    return {
        "upstreams": list(route.upstreams),
        "plan": route.plan,
        "steering": route.steering,
        "latency_class": route.latency_class,
        "midstream": route.midstream,
        "race_width": route.race_width,
        "is_panic": site.dispatcher.board.outlook(upstreams, at, prompt_tokens=0).is_panic,
        "retry": asdict(route.retry),
        "deadlines": asdict(route.deadlines),
        "gate": gate_status(site.dispatcher.gates.of(route), route) if route.tiers or route.audit else None,
    }


def _routing(site: "Site") -> Mapping[str, object]:
    learned, figures = site.dispatcher.needs.learned, site.dispatcher.routing.figures
    return {
        **figures_document(figures),
        "mode": site.dispatcher.needs.options.mode,
        "learned": [] if learned is None else learned_status(learned),
        "files": site.routing_files(),
    }


def _prober(site: "Site") -> Mapping[str, object]:
    policy = site.prober.policy
    return {
        "is_probing": policy.options.is_probing,
        "spent_today_usd": round(policy.spent_today_usd, 6),
        "budget_usd_per_day": policy.options.probe_budget_usd_per_day,
        "event_loop_lag_s": round(site.prober.lag_s, 4),
    }
