"""Is the answer whole?"""

from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_CUT = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "safety"})


def completeness(draft: Draft, wanted: Wanted) -> Finding:
    """An answer that ran into its limit, was filtered, or says nothing is none."""
    if draft.finish_reason in _CUT:
        return Finding(0.0, "it ran into the limit of tokens")
    if draft.finish_reason in _FILTERED:
        return Finding(0.0, "it was filtered")
    if not draft.text.strip() and not (wanted.tools and draft.tool_arguments):
        return Finding(0.0, "it says nothing")
    return NOTHING_AGAINST
