"""Whom a request is for and in which tier it was served, as bodies and headers say it."""

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.server.call import decode_call
from streamroute.wire.openai_chat.usage import MAX_TOKENS, read_usage


@pytest.mark.parametrize(
    ("body", "headers", "who"),
    [
        ({}, {}, NOBODY),
        ({"user": "ann"}, {}, Attribution(user="ann")),
        ({"user": "ann", "metadata": {"user": "bob", "task": " t ", "team": 3}}, {}, Attribution(user="bob", task="t")),
        ({"user": 7, "metadata": []}, {}, NOBODY),
        ({"user": "ann"}, {"X-Streamroute-User": "eve", "x-streamroute-team": "n"}, Attribution(user="eve", team="n")),
        ({"metadata": {"task": "t"}}, {"x-streamroute-task": "  "}, Attribution(task="t")),
        ({"user": "x" * 500}, {}, Attribution(user="x" * 128)),
    ],
)
def test_attribution(body: dict[str, object], headers: dict[str, str], who: Attribution) -> None:
    """Headers win over `metadata`, which wins over `user`; what is no name is none."""
    data = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **body})
    request = make_mocked_request("POST", "/v1/chat/completions", headers=headers)
    assert decode_call(request, data, id_="r", arrived_at=0.0).attribution == who


def test_the_tier_stands_beside_the_usage_or_in_it() -> None:
    """OpenAI and Groq put it beside, Anthropic inside."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert [getattr(read_usage(usage, tier), "tier", "") for tier in ("flex", None, 3, "")] == [
        "flex",
        None,
        None,
        None,
    ]
    inside = read_usage({**usage, "service_tier": "batch"})
    assert inside is not None
    assert inside.tier == "batch"


def test_counts_that_cannot_be_are_not_taken() -> None:
    """A ledger adds them up for years."""
    found = read_usage({"prompt_tokens": MAX_TOKENS + 1, "completion_tokens": MAX_TOKENS})
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (0, MAX_TOKENS)
