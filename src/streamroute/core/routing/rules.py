"""What operators say of requests: where all conditions of a rule hold, what it says is in force.

All rules that match apply, in their order. What limits adds up, so that no rule can loosen what another demands: the
highest floor, the lowest limits, upstreams that every rule allows and none avoids. What is a choice (policy, class,
route, tier, region) is that of the first rule that makes it. A rule comes before what a client says.

A rule is *shadowed* where rules before it match whenever it does and leave it nothing to say; `streamroute check` shows
that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isinf

from streamroute.core.money import Money, usd_text
from streamroute.core.requirements import Requirements, strictest
from streamroute.core.routing.analysis import Analysis
from streamroute.core.upstream import LatencyClass, PolicyName, UpstreamId

COUNTS = ("tokens", "messages", "turns", "images", "audio", "files", "tools", "tool_results", "tables")
"""Features that are whole numbers."""
SHARES = (
    "complexity", "steps", "constraints", "comparison", "open", "closed", "choices", "code", "math", "science", "law",
    "medicine", "money", "digits", "domain_confidence",
)  # fmt: skip
"""Features from 0 to 1."""
FEATURE_NAMES = ("domain", "language", "format", "modality")
"""What the question is, by name."""
CALL_NAMES = ("task", "user", "team", "key", "class", "route")
"""What came with it: whom it is for, what it is worth, what stands in `model`."""
MUCH = 0.5
"""`code = true` means a share of at least so much."""


@dataclass(frozen=True, slots=True)
class Between:
    """A number feature lies within these, both included."""

    feature: str
    least: float
    most: float

    def __str__(self) -> str:
        """For people: `tokens 2000..`."""
        return f"{self.feature} {self.least:.4g}..{'' if isinf(self.most) else f'{self.most:.4g}'}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A named feature is one of these."""

    feature: str
    names: frozenset[str]

    def __str__(self) -> str:
        """For people: `domain finance|law`."""
        return f"{self.feature} {'|'.join(sorted(self.names))}"


Condition = Between | OneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What is in force where a rule matches."""

    require: frozenset[UpstreamId] | None = None
    """Nobody else may be asked; None: anybody may."""
    avoid: frozenset[UpstreamId] = frozenset()
    prefer: frozenset[UpstreamId] = frozenset()
    min_quality: float | None = None
    max_cost: Money | None = None
    max_ttft_s: float | None = None
    max_total_s: float | None = None
    residency: str | None = None
    policy: PolicyName | None = None
    latency_class: LatencyClass | None = None
    route: str | None = None
    """Which route serves it, whatever stands in `model`."""
    tier: int | None = None
    """The first tier that is asked, from 1, on routes with tiers."""

    def leaves_out(self, upstream: UpstreamId) -> bool:
        """Return whether it must not be asked."""
        return upstream in self.avoid or (self.require is not None and upstream not in self.require)

    def __str__(self) -> str:
        """For people: `min_quality 0.92, avoid small`."""
        words = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "max_cost" and value is not None:
                words.append(f"max_cost_usd {usd_text(value)}")
            elif isinstance(value, frozenset):
                words += [f"{each.name} {'|'.join(sorted(value))}"] if value else []
            elif value is not None:
                words.append(f"{each.name} {value}")
        return ", ".join(words)


NOTHING_SAID = Then()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One of `[[routing.rules]]`."""

    name: str
    when: tuple[Condition, ...] = ()
    """All must hold; empty: it always matches."""
    then: Then
    of_call: tuple[OneOf, ...] = field(init=False, repr=False, compare=False)
    of_question: tuple[Condition, ...] = field(init=False, repr=False, compare=False)
    """The conditions, apart: the question must be analysed for these."""

    def __post_init__(self) -> None:
        """Tell them apart once."""
        of_call = tuple(each for each in self.when if isinstance(each, OneOf) and each.feature in CALL_NAMES)
        object.__setattr__(self, "of_call", of_call)
        object.__setattr__(self, "of_question", tuple(each for each in self.when if each not in of_call))

    def __str__(self) -> str:
        """For people: `contracts: domain law, tokens 2000.. -> min_quality 0.92`."""
        when = ", ".join(map(str, self.when)) or "always"
        return f"{self.name}: {when} -> {self.then}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules are held against."""

    names: dict[str, str | None]
    """By `CALL_NAMES`."""
    question: Callable[[], Analysis]
    """Called only where a condition is about the question and all others hold."""


def matches(rule: Rule, facts: Facts) -> bool:
    """Return whether all conditions hold; what came with the question is looked at first."""
    for each in rule.of_call:
        if facts.names.get(each.feature) not in each.names:
            return False
    if not rule.of_question:
        return True
    question = facts.question()
    return all(_holds(condition, question) for condition in rule.of_question)


def _holds(condition: Condition, question: Analysis) -> bool:
    if isinstance(condition, Between):
        return bool(condition.least <= question.feature(condition.feature) <= condition.most)
    if condition.feature == "modality":
        return not condition.names.isdisjoint(question.modalities)
    return question.feature(condition.feature) in condition.names


def together(all_said: Sequence[Then]) -> Then:
    """Return what several rules come to, in their order."""
    said = NOTHING_SAID
    for each in all_said:
        said = _and(said, each)
    return said


def _and(one: Then, two: Then) -> Then:
    require = one.require if two.require is None else two.require if one.require is None else one.require & two.require
    return Then(
        require=require,
        avoid=one.avoid | two.avoid,
        prefer=one.prefer | two.prefer,
        min_quality=strictest(max, one.min_quality, two.min_quality),
        max_cost=strictest(min, one.max_cost, two.max_cost),
        max_ttft_s=strictest(min, one.max_ttft_s, two.max_ttft_s),
        max_total_s=strictest(min, one.max_total_s, two.max_total_s),
        residency=one.residency or two.residency,
        policy=one.policy or two.policy,
        latency_class=one.latency_class or two.latency_class,
        route=one.route or two.route,
        tier=one.tier or two.tier,
    )


def tightened(needs: Requirements, said: Then) -> Requirements:
    """Return what a request requires under rules: limits add up, and a rule's choice comes before the client's."""
    return replace(
        needs,
        min_quality=strictest(max, needs.min_quality, said.min_quality),
        max_cost=strictest(min, needs.max_cost, said.max_cost),
        max_ttft_s=strictest(min, needs.max_ttft_s, said.max_ttft_s),
        max_total_s=strictest(min, needs.max_total_s, said.max_total_s),
        residency=said.residency or needs.residency,
        policy=said.policy or needs.policy,
        latency_class=said.latency_class or needs.latency_class,
    )


def covers(general: Rule, special: Rule) -> bool:
    """Return whether `general` matches whenever `special` does, as far as the conditions themselves tell."""
    return all(any(_implies(theirs, ours) for theirs in special.when) for ours in general.when)


def _implies(special: Condition, general: Condition) -> bool:
    if isinstance(special, Between) and isinstance(general, Between):
        is_within = general.least <= special.least and special.most <= general.most
        return special.feature == general.feature and is_within
    if isinstance(special, OneOf) and isinstance(general, OneOf):
        return special.feature == general.feature and special.names <= general.names
    return False


def shadowed_by(rules: Sequence[Rule]) -> dict[str, tuple[str, ...]]:
    """Return the rules that say nothing which rules before them have not said already, and which those are."""
    found: dict[str, tuple[str, ...]] = {}
    for position, rule in enumerate(rules):
        before = [each for each in rules[:position] if covers(each, rule)]
        said = together([each.then for each in before])
        if before and _and(said, rule.then) == said:
            found[rule.name] = tuple(each.name for each in before)
    return found
