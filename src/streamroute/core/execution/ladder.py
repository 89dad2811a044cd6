"""The ladder of ways to carry on an answer that was cut: which rungs an upstream offers, best first."""

from streamroute.core.upstream import Capabilities, Continuation, Rung

_RUNGS: dict[Continuation | None, tuple[Rung, ...]] = {
    "none": (),
    "instructed": ("instructed",),
    "prefill": ("prefill", "instructed"),
    "prefix": ("prefix", "instructed"),
    "continue_final_message": ("continue_final_message", "instructed"),
    None: ("instructed",),  # every chat model takes instructions; whether it follows them, the seam tells
}

NATIVE_RUNGS: frozenset[Rung] = frozenset({"prefill", "prefix", "continue_final_message"})
"""The provider itself goes on from a partial answer: what comes is the remainder, as exact as the model is."""


def rungs_of(capabilities: Capabilities) -> tuple[Rung, ...]:
    """Return the rungs to try on an upstream, best first: native where declared, then instructed; empty: none."""
    return _RUNGS[capabilities.continuation]
