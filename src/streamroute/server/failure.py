"""What a client is told when there is no whole answer: status, error object, and whether to try again.

OpenAI's SDKs retry 408, 409, 429 and 5xx twice, honour `retry-after`, and obey `x-should-retry`. Once we have used
up our own attempts we say `x-should-retry: false`, or attempts would multiply; a client may come back after
`retry-after` where nobody could be asked, or somebody not yet. Who is over budget is told not to retry, and when the
budget begins anew if that is soon.
"""

from dataclasses import asdict, dataclass

from streamroute.core.execution.commands import Fail, Tried
from streamroute.core.outcome import NOT_ASKED, Failure, FailureKind
from streamroute.engine.sink import PartialAnswer
from streamroute.server.replies import retry_after_headers
from streamroute.wire.openai_chat.errors import encode_error

CLIENTS_FAULT: frozenset[FailureKind] = frozenset(
    {"client_error", "context_length_exceeded", "content_filtered", "model_not_found"}
)
_UNAVAILABLE: frozenset[FailureKind] = frozenset(
    {
        "connect_error", "stale_connection", "connect_timeout", "headers_timeout", "first_token_timeout",
        "answer_timeout", "stall", "not_continuable",
        "local_limit", "total_timeout", "overloaded", "rate_limited", "quota_exhausted", "blocked", "over_budget",
        "shutting_down",
    }
)  # fmt: skip
"""The upstream could not be had; every other kind is an upstream that answered, and answered badly."""
DEFAULT_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReply:
    """An error as it is sent: as a response of its own, or as the last event of a stream."""

    status: int
    body: bytes
    headers: dict[str, str]


def failure_reply(fail: Fail, *, attempts: int, model: str, partial: PartialAnswer | None = None) -> FailureReply:
    """Put a plan's `Fail` into words; `attempts` were made for the `model` that the client named.

    `partial`: what the client has of an answer that broke off.
    """
    failure = fail.failure
    headers = {"x-streamroute-attempts": str(attempts)}
    if failure.kind in CLIENTS_FAULT:
        body = failure.error_body or encode_error(failure.message, type_="invalid_request_error", code=failure.kind)
        return FailureReply(status=failure.http_status or 400, body=body, headers=headers)
    status, type_, code = _classify(fail)
    is_over_budget = code == "insufficient_quota"
    if (attempts and not fail.skipped) or is_over_budget:
        headers["x-should-retry"] = "false"
    default_s = None if is_over_budget else DEFAULT_RETRY_AFTER_S
    wait_s = _retry_after_s(fail, default_s) if status in {429, 503} else None
    if wait_s is not None:
        headers |= retry_after_headers(wait_s)
    body = encode_error(
        _message(fail, model),
        type_=type_,
        code=code,
        details=[_detail(tried) for tried in (*fail.tried, *fail.skipped)],
        partial=None if partial is None else asdict(partial),
    )
    return FailureReply(status=status, body=body, headers=headers)


def _classify(fail: Fail) -> tuple[int, str, str]:
    kinds = {tried.failure.kind for tried in fail.tried} or {fail.failure.kind}
    if fail.failure.kind == "shutting_down":
        return 503, "server_error", "shutting_down"
    if kinds == {"over_budget"}:
        return 429, "insufficient_quota", "insufficient_quota"
    if kinds == {"rate_limited"}:
        return 429, "rate_limit_error", "rate_limit_exceeded"
    if kinds <= _UNAVAILABLE:
        return 503, "server_error", fail.failure.kind
    return 502, "server_error", fail.failure.kind


def _retry_after_s(fail: Fail, default_s: float | None) -> float | None:
    waits_s = [each.retry_after_s for each in _failures(fail) if each.retry_after_s is not None]
    wait_s = min(waits_s, default=default_s)
    return None if wait_s is None else max(wait_s, 0.001)


def _failures(fail: Fail) -> list[Failure]:
    return [fail.failure, *(tried.failure for tried in (*fail.tried, *fail.skipped))]


def _message(fail: Fail, model: str) -> str:
    if fail.failure.kind == "shutting_down":
        return "The sidecar is shutting down; the answer is not whole." if fail.is_committed else "Shutting down."
    if fail.is_committed:
        last = fail.tried[-1] if fail.tried else None
        cause = f"{last.upstream}: {_words(last.failure)}" if last is not None else fail.failure.message
        return f"The answer broke off after its first token ({cause}), and was not carried on."
    told = "; ".join(f"{each.upstream}: {_words(each.failure)}" for each in (*fail.tried, *fail.skipped))
    if not fail.tried:
        return f"No upstream of {model!r} could be asked: {told or fail.failure.message}."
    asked = sum(each.failure.kind not in NOT_ASKED for each in fail.tried)
    if not asked:
        return f"No upstream of {model!r} could be asked: {told}."
    return f"No upstream of {model!r} gave a whole answer. Tried {asked}: {told}."


def _words(failure: Failure) -> str:
    status = f" (HTTP {failure.http_status})" if failure.http_status not in {None, 200} else ""
    return f"{failure.kind}{status}: {failure.message}".rstrip(".")


def _detail(tried: Tried) -> dict[str, object]:
    return {
        "upstream": tried.upstream,
        "kind": tried.failure.kind,
        "http_status": tried.failure.http_status,
        "message": tried.failure.message,
    }
