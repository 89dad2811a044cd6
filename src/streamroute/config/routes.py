"""`[upstreams.*]` and `[routes.*]` -> `Upstream` and `Route`, with what is disabled left out.

A made-up answer must never stand in for a real one: simulated upstreams leave a route as soon as it has a real
one that is enabled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamroute.config.draft import Draft
from streamroute.config.locate import Path
from streamroute.config.model import Disabled, Source
from streamroute.config.prices import build_price
from streamroute.config.routing_schema import RequirementsTable
from streamroute.config.schema import DeadlinesTable, RouteTable, UpstreamTable
from streamroute.config.suggestion import suggestion
from streamroute.core.gate import AuditOptions, CallingAssessor
from streamroute.core.money import money
from streamroute.core.requirements import Requirements
from streamroute.core.routing.route import AUTO
from streamroute.core.upstream import (
    Capabilities,
    CredentialId,
    Deadlines,
    QualityTable,
    RetryOptions,
    Route,
    Steering,
    Upstream,
    UpstreamId,
)
from streamroute.providers.formats import FORMATS
from streamroute.providers.options import ProviderOptions
from streamroute.providers.presets import PRESETS


def build_upstream(draft: Draft, name: str, table: UpstreamTable, provider: ProviderOptions) -> Upstream:
    """Return upstream `name` of an enabled provider."""
    given = table.capabilities
    inherited = PRESETS[provider.kind].continuation
    if given.continuation is None and inherited is not None:
        draft.sources[f"upstreams.{name}.capabilities.continuation"] = Source(where="preset", detail=provider.kind)
    bills = given.bills_cancelled_streams
    if bills is None and provider.quirks.bills_cancelled_streams is not None:
        bills = provider.quirks.bills_cancelled_streams
        source = draft.sources.get(f"providers.{provider.name}.quirks.bills_cancelled_streams")
        if source is not None:
            draft.sources[f"upstreams.{name}.capabilities.bills_cancelled_streams"] = source
    if given.logprobs and not FORMATS[provider.wire_format].has_logprobs:
        path = ("upstreams", name, "capabilities", "logprobs")
        draft.report(path, f'the wire format "{provider.wire_format}" has no place for them; remove this')
    is_per_model = provider.quirks.rate_limit_scope == "model"
    return Upstream(
        id=UpstreamId(name),
        provider=provider.name,
        model=table.model,
        credential=CredentialId(f"{provider.name}/{table.model}") if is_per_model else provider.credential,
        failure_domain=table.failure_domain or provider.name,
        capabilities=Capabilities(
            tools=given.tools,
            vision=given.vision,
            audio=given.audio,
            files=given.files,
            json_schema=given.json_schema,
            continuation=given.continuation or inherited,
            context_tokens=given.context_tokens,
            bills_cancelled_streams=bills,
            logprobs=given.logprobs,
            sampling=given.sampling,
            reasoning=given.reasoning,
        ),
        price=None if table.price is None else build_price(table.price),
        is_simulated=provider.is_simulated,
        quality=_quality(draft, name, table.quality),
        domains=tuple(each.lower() for each in table.domains),
        residency=_residency(draft, name, table, provider),
    )


def _quality(draft: Draft, name: str, given: Mapping[str, float] | None) -> QualityTable | None:
    if given is None:
        return None
    path = f"upstreams.{name}.quality"
    if path in draft.sources and len(given) == 1:
        draft.sources.setdefault(f"{path}.default", draft.sources[path])
    domains = {domain.lower(): quality for domain, quality in given.items() if domain != "default"}
    return QualityTable(default=given.get("default"), domains=tuple(domains.items()))


def _residency(draft: Draft, name: str, table: UpstreamTable, provider: ProviderOptions) -> str | None:
    """Return the upstream's region, else its provider's."""
    if table.residency is None and provider.residency is not None:
        source = draft.sources.get(f"providers.{provider.name}.residency")
        if source is not None:
            draft.sources[f"upstreams.{name}.residency"] = source
        return provider.residency
    return None if table.residency is None else table.residency.lower()


def build_route(draft: Draft, name: str, table: RouteTable) -> Route:
    """Return route `name` with all its upstreams, enabled or not."""
    at = ("routes", name)
    if name == AUTO and not table.tiers and not table.upstreams:
        table = table.model_copy(update={"upstreams": _auto(draft)})
    if table.tiers and table.upstreams:
        draft.report((*at, "tiers"), "stands beside `upstreams`: give one of them; the tiers list all upstreams")
    elif not table.tiers and not table.upstreams:
        draft.report((*at, "upstreams"), "is missing; list the upstreams that serve it, or `tiers` of them")
    listed: list[tuple[Path, str]] = [
        ((*at, "upstreams", position), each) for position, each in enumerate(table.upstreams)
    ]
    for tier, upstreams in enumerate(table.tiers):
        if not upstreams:
            draft.report((*at, "tiers", tier), "must not be empty")
        listed += [((*at, "tiers", tier, position), each) for position, each in enumerate(upstreams)]
    seen: set[str] = set()
    for path, upstream in listed:
        if upstream in seen:
            draft.report(path, f"{draft.shown(path, upstream)} is listed twice")
        seen.add(upstream)
    return Route(
        name=name,
        upstreams=tuple(UpstreamId(each) for _, each in listed),
        tiers=tuple(tuple(UpstreamId(each) for each in tier) for tier in table.tiers),
        accept_at=table.accept_at,
        tier_policy=table.tier_policy,
        assess=_assess(draft, name, table),
        agree_with=None if table.agree_with is None else UpstreamId(table.agree_with),
        judge=None if table.judge is None else UpstreamId(table.judge),
        audit=None if table.audit is None else AuditOptions(**table.audit.model_dump()),
        speculate_after_s=table.speculate_after_s,
        plan=table.plan,
        steering=_steering(name, table),
        policy=table.policy,
        latency_class=table.latency_class,
        midstream=table.midstream,
        race_width=table.race_width,
        retry=RetryOptions(
            same_upstream=table.retry.same_upstream,
            wait_for_preferred_s=table.retry.wait_for_preferred_s,
            backoff_s=table.retry.backoff_s,
        ),
        deadlines=_deadlines(draft, name, table.deadlines),
    )


def _steering(name: str, table: RouteTable) -> Steering:
    return "auction" if name == AUTO and "steering" not in table.model_fields_set else table.steering


def build_auto(draft: Draft) -> Route | None:
    """Return what `model = "auto"` means where neither a route nor an upstream is called that: an auction among those
    of `[routing] auto`, or among all upstreams."""
    upstreams = draft.table("upstreams")
    if AUTO in upstreams or AUTO in draft.table("routes") or not upstreams:
        return None
    names = tuple(UpstreamId(name) for name in _auto(draft))
    return Route(name=AUTO, upstreams=tuple(dict.fromkeys(names)), steering="auction")


def _auto(draft: Draft) -> list[str]:
    """Return the upstreams of `[routing] auto`, or all."""
    upstreams, given = draft.table("upstreams"), draft.table("routing").get("auto")
    listed = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    for position, name in enumerate(listed):
        if name not in upstreams:
            path = ("routing", "auto", position)
            draft.report(path, f"there is no upstream {draft.shown(path, name)}{suggestion(name, upstreams)}")
    return listed or list(upstreams)


def build_requirements(table: RequirementsTable) -> Requirements:
    """Return what a route requires."""
    return Requirements(
        min_quality=table.min_quality,
        max_cost=None if table.max_cost_usd is None else money(table.max_cost_usd),
        max_ttft_s=table.max_ttft_s,
        max_total_s=table.max_total_s,
        domain=None if table.domain is None else table.domain.lower(),
        residency=None if table.residency is None else table.residency.lower(),
    )


def _assess(draft: Draft, name: str, table: RouteTable) -> tuple[tuple[CallingAssessor, ...], ...]:
    """Check that there are tiers to be assessed, and somebody to ask for each assessor."""
    path = ("routes", name, "assess")
    if table.assess and not table.tiers:
        draft.report(path, "there is nothing to assess without `tiers`")
    if table.audit is not None and not table.tiers and _steering(name, table) != "auction":
        message = 'there is nothing to look into without `tiers` or steering = "auction"'
        draft.report(("routes", name, "audit"), message)
    for assessor, key, whom in (("agreement", "agree_with", table.agree_with), ("judge", "judge", table.judge)):
        if whom is None and any(assessor in each for each in table.assess):
            draft.report(path, f'"{assessor}" needs somebody to ask; add {key} = "UPSTREAM"')
    return tuple(tuple(each) for each in table.assess)


def _deadlines(draft: Draft, name: str, table: DeadlinesTable) -> Deadlines:
    """Check the limits against each other; a default that exceeds a given `total_s` is lowered to it."""
    path = ("routes", name, "deadlines")
    given = table.model_fields_set
    total_s = table.total_s
    values: dict[str, float] = {}
    for field in DeadlinesTable.model_fields:
        value: float = getattr(table, field)
        if value > total_s and field in given:
            draft.report((*path, field), f"{value:g} s is more than total_s, {total_s:g} s")
        elif value > total_s:
            draft.sources[f"routes.{name}.deadlines.{field}"] = Source(where="default", detail="lowered to total_s")
        values[field] = min(value, total_s)
    if {"connect_s", "first_token_s"} <= given and table.connect_s > table.first_token_s:
        message = f"{table.connect_s:g} s is more than first_token_s, {table.first_token_s:g} s, which includes it"
        draft.report((*path, "connect_s"), message)
    return Deadlines(**values)


def settle_routes(
    routes: Mapping[str, Route], upstreams: Mapping[UpstreamId, Upstream], off: Mapping[str, str]
) -> tuple[dict[str, Route], dict[UpstreamId, Upstream], list[Disabled]]:
    """Leave out of each route what is disabled (`off`: upstream -> reason) and the simulated beside the real.

    Returns the routes that can serve, the upstreams that are left, and what fell out.
    """
    kept: dict[str, Route] = {}
    disabled: list[Disabled] = []
    stood_down: dict[UpstreamId, list[str]] = {}
    for name, route in routes.items():
        enabled = [upstreams[upstream] for upstream in route.upstreams if upstream in upstreams]
        real = [upstream for upstream in enabled if not upstream.is_simulated]
        if not enabled:
            reasons = "; ".join(f"{upstream}: {off[upstream]}" for upstream in route.upstreams if upstream in off)
            disabled.append(Disabled(kind="route", name=name, reason=f"none of its upstreams is enabled ({reasons})"))
            continue
        for upstream in enabled if real else ():
            if upstream.is_simulated:
                stood_down.setdefault(upstream.id, []).append(f'"{name}" has {real[0].id}')
        serving = tuple(upstream.id for upstream in real or enabled)
        tiers = (tuple(upstream for upstream in tier if upstream in serving) for tier in route.tiers)
        kept[name] = replace(route, upstreams=serving, tiers=tuple(tier for tier in tiers if tier))
    left_over = {upstream for route in kept.values() for upstream in route.upstreams}
    gone = stood_down.keys() - left_over
    for upstream_id, why in stood_down.items():
        reason = f"simulated, left its route because a real upstream is enabled: {', '.join(why)}"
        disabled.append(Disabled(kind="upstream", name=upstream_id, reason=reason))
    left = {name: upstream for name, upstream in upstreams.items() if name not in gone}
    return kept, left, disabled


def settle_auto(auto: Route, left: Mapping[UpstreamId, Upstream]) -> Route | None:
    """Leave out of it what is disabled, and the simulated beside the real; None where nobody is left."""
    enabled = [left[upstream] for upstream in auto.upstreams if upstream in left]
    real = [upstream.id for upstream in enabled if not upstream.is_simulated]
    serving = tuple(real or [upstream.id for upstream in enabled])
    return replace(auto, upstreams=serving) if serving else None


def is_any_simulated(routes: Sequence[Route], upstreams: Mapping[UpstreamId, Upstream]) -> bool:
    """Say whether a route gives made-up answers."""
    return any(upstreams[upstream].is_simulated for route in routes for upstream in route.upstreams)
