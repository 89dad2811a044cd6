"""The calls that carry on an answer: what they ask for, and how their text is joined to what the client has."""

from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.execution.commands import Start
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Midstream, Rung
from streamroute.core.usage import Usage
from streamroute.engine.decoding import StreamDecoder
from streamroute.providers.provider import Provider
from streamroute.wire.openai_chat.continuation import ContinuationDecoder, continuation_request
from streamroute.wire.openai_chat.transcript import Transcript

SHORT_CHARS = 8
"""Delivered text below this many characters can be the beginning of anything: whether a native continuation goes on
or starts over cannot be told from it. Asked anew, the answer must begin with it, which is exact."""

NOT_CONTINUABLE = Failure(kind="not_continuable", message="nothing was kept of what the client has")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationCall:
    """What one continuation asks, and what reads its answer."""

    chat: ChatRequest
    rung: Rung
    decoder: Callable[[], StreamDecoder]


class Continuations:
    """Carries on one client's answer."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat
        self.transcript = Transcript()
        self._was_asked_anew = False

    @property
    def text(self) -> str | None:
        """What the client has of the answer; None where that is not kept."""
        return self.transcript.read().text if self.transcript.is_kept else None

    def call(
        self, start: Start, provider: Provider, cost_of: Callable[[Usage], str | None] | None = None
    ) -> ContinuationCall | Failure:
        """Put the follow-on request together, or say why there can be none; `cost_of`: see `ChatStreamDecoder`."""
        delivered = self.transcript.read()
        rung = start.rung or "instructed"
        if rung != "restart":
            if delivered.why_not is not None:
                return Failure(kind="not_continuable", message=f"it cannot be carried on: {delivered.why_not}")
            is_ambiguous = rung != "instructed" and len(delivered.text) < SHORT_CHARS
            if is_ambiguous and delivered.text and self._was_asked_anew:
                # So little text does not tell a continuation from an answer that begins again with the same words.
                return Failure(kind="seam_mismatch", message="too little was delivered to be carried on natively")
            if not delivered.text or is_ambiguous:
                self._was_asked_anew = True
                rung = "anew"
        chat = continuation_request(self._chat, delivered, rung)
        reason = provider.why_not(chat, start.upstream)
        if reason is not None:  # of what we have made of the request; the client's own was looked at before
            return Failure(kind="client_error", message=reason)
        return ContinuationCall(
            chat=chat,
            rung=rung,
            decoder=lambda: ContinuationDecoder(
                provider.decoder(self._chat, cost_of),
                delivered=delivered,
                rung=rung,
                upstream=start.upstream.id,
                wants_usage=self._chat.wants_usage,
            ),
        )


def is_continuable(chat: ChatRequest) -> bool:
    """Return whether answers to `chat` can be carried on at all: half a JSON document, half of several choices or text
    whose log probabilities the client wants cannot be joined to what another model would say."""
    return chat.stream and chat.choices == 1 and not chat.wants_json and not chat.wants_logprobs


def midstream_of(chat: ChatRequest, wished: Midstream) -> Midstream:
    """Return what to do about a broken answer to `chat`: what cannot be carried on is an error, or begins anew."""
    return "error" if wished == "continue" and not is_continuable(chat) else wished
