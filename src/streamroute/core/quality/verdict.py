"""What is looked at of an answer that is held back, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A whole answer that the client does not have yet."""

    text: str = ""
    """Of the first choice."""
    finish_reason: str | None = None
    token_ln_probs: Sequence[float] = ()
    """Natural logarithms, one a token, in order; empty where the provider offers none."""
    tool_arguments: Sequence[str] = ()
    """Of each tool call: JSON, if the model has kept to it."""
    tool_names: Sequence[str] = ()
    """Of the same calls; a name that was not given is empty."""
    refusal: str | None = None
    """The model's own word for why it does not answer, where the API has a place for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the request asked for, as far as an answer can be held against it."""

    json: bool = False
    """The answer must be JSON."""
    schema: Mapping[str, object] | None = None
    """That the JSON must keep to."""
    tools: bool = False
    """Tool calls are welcome: an answer without text may be one."""
    tool_schemas: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Of the arguments of each tool that was offered, by its name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one assessor says."""

    score: float
    """0 (no good) to 1 (nothing against it)."""
    reason: str = ""
    """In words, where the score is below 1. Never a quotation from the answer."""


NOTHING_AGAINST = Finding(1.0)
_UNUSABLE = ("completeness", "form", "arguments")
"""Checks of which a 0 is no opinion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What is done about an answer that was judged."""

    score: float
    """0..1: as it counts, with all that was learned."""
    is_accepted: bool
    next_tier: int = 0
    """Of the tiers that were decided on, the least that is to be asked next, where it is not accepted."""
    delivers: int | None = None
    """Of the same, the one whose earlier answer is delivered instead of this one, where it is not accepted."""
    reason: str = ""
    """Why it is another one than the findings alone would give; empty where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all assessors say together."""

    score: float
    """The lowest of them: each speaks of another way to be wrong."""
    findings: Mapping[str, Finding]
    """By assessor; only of those that had something to judge."""
    ruling: Ruling | None = None
    """None: the score alone decides."""

    @property
    def is_unusable(self) -> bool:
        """A machine cannot use the answer: that is no opinion, whatever was learned."""
        return any(self.findings[name].score <= 0.0 for name in _UNUSABLE if name in self.findings)

    @property
    def reason(self) -> str:
        """What speaks against the answer most; empty where nothing does."""
        worst = min(self.findings.items(), key=lambda item: item[1].score, default=None)
        return "" if worst is None or worst[1].score >= 1.0 else f"{worst[0]}: {worst[1].reason}"


def verdict_of(findings: Mapping[str, Finding]) -> Verdict:
    """Return what findings come to: the lowest counts."""
    return Verdict(score=min((each.score for each in findings.values()), default=1.0), findings=findings)
