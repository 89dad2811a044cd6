"""What somebody is told whose money does not suffice."""

import json

import pytest

from streamroute.core.execution.commands import Fail, Tried
from streamroute.core.outcome import Failure
from streamroute.core.upstream import UpstreamId
from streamroute.server.failure import failure_reply


@pytest.mark.parametrize(("retry_after_s", "shown"), [(None, None), (29.5, "30")])
def test_over_budget(retry_after_s: float | None, shown: str | None) -> None:
    """429 `insufficient_quota`, not to be tried again; when the budget begins anew only where that is soon."""
    failure = Failure(kind="over_budget", message="the budget of task 'triage' ...", retry_after_s=retry_after_s)
    tried = Tried(upstream=UpstreamId("a"), failure=failure)
    reply = failure_reply(Fail(failure=failure, tried=(tried,)), attempts=0, model="chat")
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert "the budget of task 'triage'" in error["message"]
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers.get("retry-after") == shown
