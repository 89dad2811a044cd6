"""`[[routing.rules]]` -> `Rule`s, and what is probably not meant about them.

[[routing.rules]]
name = "contracts"
when = { domain = ["law", "finance"], tokens = { min = 2000 }, tables = true, team = "legal" }
then = { min_quality = 0.92, avoid = ["small"], policy = "quality" }
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import get_args

from streamroute.config.draft import BROKEN, Draft
from streamroute.config.locate import Path
from streamroute.config.routing_schema import RuleTable, ThenTable
from streamroute.config.suggestion import suggestion
from streamroute.config.validate import validate
from streamroute.core.money import money
from streamroute.core.routing.analysis import LANGUAGES, Modality
from streamroute.core.routing.domains import spoken_of
from streamroute.core.routing.question import OutputFormat
from streamroute.core.routing.rules import (
    CALL_NAMES,
    COUNTS,
    FEATURE_NAMES,
    MUCH,
    SHARES,
    Between,
    Condition,
    OneOf,
    Rule,
    Then,
    shadowed_by,
)
from streamroute.core.upstream import LatencyClass, Route, Upstream, UpstreamId

_CLOSED: Mapping[str, tuple[str, ...]] = {
    "language": LANGUAGES,
    "format": get_args(OutputFormat),
    "modality": get_args(Modality),
    "class": get_args(LatencyClass),
}
"""Named features that have no other names than these."""
_KNOWN = (*COUNTS, *SHARES, *FEATURE_NAMES, *CALL_NAMES)
_KINDS = {"image": "images", "audio": "audio", "file": "files"}
"""By modality: the count that is above 0 with it."""


def build_rules(draft: Draft, given: object) -> tuple[Rule, ...]:
    """Return all rules of the file; problems are reported to `draft`."""
    if not isinstance(given, list):
        draft.report(("routing", "rules"), "expected tables such as [[routing.rules]]")
        return ()
    rules: dict[str, Rule] = {}
    for position, value in enumerate(given):
        path: Path = ("routing", "rules", position)
        table = validate(draft, RuleTable, path, value)
        if table is None:
            continue
        when = [found for name, each in table.when.items() if (found := _condition(draft, (*path, "when"), name, each))]
        then = _then(draft, (*path, "then"), table.then)
        if table.name in rules:
            draft.report((*path, "name"), f"there is a rule {draft.shown((*path, 'name'), table.name)} already")
        if not (isinstance(value, dict) and value.get("then")):
            draft.report((*path, "then"), "says nothing; give it one of " + ", ".join(ThenTable.model_fields))
        rules[table.name] = Rule(name=table.name, when=tuple(when), then=then)
    return tuple(rules.values())


def _condition(draft: Draft, at: Path, name: str, value: object) -> Condition | None:
    path = (*at, name)
    if value is BROKEN:
        return None
    if name in COUNTS or name in SHARES:
        return _between(draft, path, name, value)
    if name not in _KNOWN:
        draft.report(path, f'there is no feature "{name}"{suggestion(name, _KNOWN) or "; known: " + ", ".join(_KNOWN)}')
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(each, str) and each for each in names):
        draft.report(path, "expected a name or a list of them")
        return None
    if name == "route":
        known: tuple[str, ...] = (*draft.table("routes"), *draft.table("upstreams"), "auto")
    else:
        known = _CLOSED.get(name, ())
    for each in names:
        if known and each not in known:
            draft.report(path, f"{draft.shown(path, each)} can never be{suggestion(each, known)}")
            return None
    return OneOf(name, frozenset(each.lower() if name == "domain" else each for each in names))


def _between(draft: Draft, path: Path, name: str, value: object) -> Between | None:
    """Read `true`, `false`, or `{ min = 1, max = 2 }`."""
    is_share = name in SHARES
    top = 1.0 if is_share else inf
    if value is True:
        return Between(name, MUCH if is_share else 1.0, top)
    if value is False:
        return Between(name, 0.0, MUCH - 1e-9 if is_share else 0.0)
    limits = value if isinstance(value, dict) else {}
    unknown = limits.keys() - {"min", "max"}
    numbers = {key: float(each) for key, each in limits.items() if _is_number(each)}
    if not limits or unknown or len(numbers) < len(limits):
        draft.report(path, "expected true, false, or a table such as { min = 1, max = 2 }")
        return None
    least, most = numbers.get("min", 0.0), numbers.get("max", top)
    if not 0.0 <= least <= most <= top:
        rule = "0 to 1" if is_share else "0 up"
        draft.report(path, f"no number is from {least:g} to {most:g} here; `{name}` goes from {rule}")
        return None
    return Between(name, least, most)


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__float__")


def _then(draft: Draft, path: Path, table: ThenTable) -> Then:
    return Then(
        require=_upstreams(draft, (*path, "require"), table.require) if table.require else None,
        avoid=_upstreams(draft, (*path, "avoid"), table.avoid),
        prefer=_upstreams(draft, (*path, "prefer"), table.prefer),
        min_quality=table.min_quality,
        max_cost=None if table.max_cost_usd is None else money(table.max_cost_usd),
        max_ttft_s=table.max_ttft_s,
        max_total_s=table.max_total_s,
        residency=None if table.residency is None else table.residency.lower(),
        policy=table.policy,
        latency_class=table.latency_class,
        route=_route(draft, (*path, "route"), table.route),
        tier=table.tier,
    )


def _upstreams(draft: Draft, path: Path, names: Sequence[str]) -> frozenset[UpstreamId]:
    known = draft.table("upstreams")
    for position, name in enumerate(names):
        if name not in known:
            at = (*path, position)
            draft.report(at, f"there is no upstream {draft.shown(at, name)}{suggestion(name, known)}")
    return frozenset(UpstreamId(name) for name in names)


def _route(draft: Draft, path: Path, name: str | None) -> str | None:
    known = draft.table("routes")
    if name is not None and name not in known:
        draft.report(path, f"there is no route {draft.shown(path, name)}{suggestion(name, known)}")
    return name


def rule_warnings(
    rules: Sequence[Rule], upstreams: Mapping[UpstreamId, Upstream], routes: Mapping[str, Route]
) -> dict[str, str]:
    """Return what is allowed and probably not meant, by rule: rules that never match, say nothing, or stop requests."""
    found: dict[str, list[str]] = {}
    domains = tuple(sorted(spoken_of(upstreams.values())))
    for rule in rules:
        said = found.setdefault(rule.name, [])
        if dead := _dead(rule):
            said.append(dead)
        for each in rule.when:
            if isinstance(each, OneOf) and each.feature == "domain":
                said += [
                    f"no classifier and no upstream speaks of the domain {name}, only clients can"
                    f"{near if '?' in (near := suggestion(name, domains)) else ''}"
                    for name in sorted(each.names - set(domains))
                ]
        allowed = None if rule.then.require is None else (rule.then.require & upstreams.keys()) - rule.then.avoid
        if allowed is not None and not allowed:
            said.append("whom it requires is disabled or avoided: requests that it matches are refused")
        if rule.then.route is not None and rule.then.route not in routes:
            said.append(f"the route {rule.then.route} is disabled, so it does not lead there")
    for name, before in shadowed_by(rules).items():
        shown = ", ".join(f'"{each}"' for each in before)
        found[name].append(f"it is shadowed: wherever it matches, {shown} did before, and said as much")
    return {f"rule {name}": f'rule "{name}": {"; ".join(said)}' for name, said in found.items() if said}


def _dead(rule: Rule) -> str | None:
    """Return why two conditions exclude each other, where they do."""
    most = {each.feature: each.most for each in rule.when if isinstance(each, Between)}
    for each in rule.when:
        if not isinstance(each, OneOf) or each.feature != "modality" or "text" in each.names:
            continue
        if all(most.get(_KINDS[name]) == 0.0 for name in each.names):
            return f"it never matches: modality {', '.join(sorted(each.names))}, and none of it"
    return None
