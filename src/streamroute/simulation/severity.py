"""How bad something is, as data: what an all-knowing router and the figures of a benchmark go by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """What becomes of the requests that a fault hits. The defaults say: nothing."""

    failing: float = 0.0
    """Share of them that get no whole answer, 0 to 1."""
    slow: float = 1.0
    """The first tokens of the others come so many times as late as when all is well."""
    late: float = 0.0
    """Share of the others of which something comes far too late, whatever the median: a first token, or one in the
    middle; 0 to 1."""
    pace: float = 1.0
    """Further tokens come so many times as far apart."""

    @property
    def is_none(self) -> bool:
        """Whether nobody would notice."""
        return not self.failing and not self.late and max(self.slow, self.pace) < 1 + 1e-9


NO_HARM = Severity()
ALL_FAIL = Severity(failing=1.0)
ALL_LATE = Severity(late=1.0)


def mixed(parts: list[tuple[float, Severity]]) -> Severity:
    """Return what all requests meet together, of which each share (0 to 1) meets its own; the rest meets nothing.

    Times are means, weighted by the requests that are answered.
    """
    parts = [*parts, (max(0.0, 1 - sum(share for share, _ in parts)), NO_HARM)]
    answered = sum(share * (1 - each.failing) for share, each in parts)
    if answered <= 0:
        return ALL_FAIL
    failing = sum(share * each.failing for share, each in parts)

    def mean(value_of: str) -> float:
        return sum(share * (1 - each.failing) * float(getattr(each, value_of)) for share, each in parts) / answered

    return Severity(failing=failing, slow=mean("slow"), late=mean("late"), pace=mean("pace"))
