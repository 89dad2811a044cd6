"""Which upstreams can serve a request at all. What is not known about an upstream never rules it out."""

from collections.abc import Sequence

from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Rejected
from streamroute.core.upstream import Upstream


def with_room(request: ChatRequest, upstreams: Sequence[Upstream]) -> tuple[Sequence[Upstream], tuple[Rejected, ...]]:
    """Return those that the prompt is not surely too long for, and why the others are left out; where nobody would be
    left all of them, for providers know better."""
    least = request.least_prompt_tokens
    if not least:
        return upstreams, ()
    rooms = [each.capabilities.context_tokens for each in upstreams]
    fit = [each for each, room in zip(upstreams, rooms, strict=True) if room is None or room >= least]
    if not fit or len(fit) == len(upstreams):
        return upstreams, ()
    reasons = [
        Rejected(upstream=each.id, reason=f"the prompt has at least {least} tokens, and it takes {room}")
        for each, room in zip(upstreams, rooms, strict=True)
        if room is not None and room < least
    ]
    return fit, tuple(reasons)


def asks_abilities(request: ChatRequest) -> bool:
    """Return whether a request asks for anything that some upstreams cannot do: most do not, and one question is
    quicker than ten."""
    return bool(request.uses_tools or request.uses_vision or request.audio or request.files or request.uses_json_schema)


def why_not(request: ChatRequest, upstream: Upstream) -> str | None:
    """Return why an upstream cannot serve a request, or None where it can, as far as is known."""
    capabilities = upstream.capabilities
    if request.uses_tools and capabilities.tools is False:
        return "it has no tools"
    if request.uses_vision and capabilities.vision is False:
        return "it does not take images"
    if request.audio and capabilities.audio is False:
        return "it does not take audio"
    if request.files and capabilities.files is False:
        return "it does not take files"
    if request.uses_json_schema and capabilities.json_schema is False:
        return "it does not follow a JSON schema"
    return None
