"""The real LLM that other tests use as a provider: does it behave as they assume?"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.local_llm import MODEL, LocalLlm, started_pair

pytestmark = pytest.mark.llm

ANSWER_WITHIN_S = 30.0


@pytest.fixture
def local_llm_pair() -> Iterator[tuple[LocalLlm, LocalLlm]]:
    with started_pair() as pair:
        yield pair


def ask(server: LocalLlm, *, stream: bool, max_tokens: int = 24, within_s: float = ANSWER_WITHIN_S) -> bytes:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Name three colours."}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": stream,
    }
    request = urllib.request.Request(  # noqa: S310  # a literal http:// address on the loopback interface
        f"{server.base_url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=within_s) as response:  # noqa: S310  # the same
        answer: bytes = response.read()
    return answer


def streamed_text(body: bytes) -> str:
    """The content of all events; AssertionError unless the stream is finished properly."""
    events = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    assert choices[-1]["finish_reason"] in {"stop", "length"}
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_both_servers_give_the_same_text_streamed_or_not(local_llm_pair: tuple[LocalLlm, LocalLlm]) -> None:
    """At temperature 0 any server's answer is the oracle for any other's, in either shape."""
    first, second = local_llm_pair
    text = streamed_text(ask(first, stream=True))
    assert len(text) > 20
    assert streamed_text(ask(second, stream=True)) == text
    whole = json.loads(ask(second, stream=False))
    assert whole["choices"][0]["message"]["content"] == text
    assert whole["usage"]["completion_tokens"] == 24


def test_a_killed_server_refuses_and_its_neighbour_answers(local_llm_pair: tuple[LocalLlm, LocalLlm]) -> None:
    """SIGKILL of one server ends that process alone."""
    first, second = local_llm_pair
    first.kill()
    assert not first.is_running
    with pytest.raises(urllib.error.URLError, match="refused"):
        ask(first, stream=False)
    assert streamed_text(ask(second, stream=True, max_tokens=3))


def test_a_paused_server_hangs_and_answers_once_resumed(local_llm_pair: tuple[LocalLlm, LocalLlm]) -> None:
    """SIGSTOP is a hang, not a refusal: the connection is made and stays silent until SIGCONT."""
    first, _ = local_llm_pair
    first.pause()
    with pytest.raises(TimeoutError):
        ask(first, stream=False, max_tokens=1, within_s=0.2)
    assert first.is_running
    first.resume()
    assert streamed_text(ask(first, stream=True, max_tokens=3))


def test_stop_ends_a_paused_server(local_llm_pair: tuple[LocalLlm, LocalLlm]) -> None:
    """No server outlives its test, in whatever state the test leaves it; stopping twice is harmless."""
    first, _ = local_llm_pair
    first.pause()
    first.stop()
    assert not first.is_running
    first.stop()
