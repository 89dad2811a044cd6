"""Requests to carry on an answer: what each habit of a provider makes of them."""

import json

import pytest

from streamroute.errors import RequestError
from streamroute.simulation.chat_body import ChatBody, read_chat_body
from streamroute.simulation.content import compose
from streamroute.simulation.continuing import PREAMBLE, check_prefill
from streamroute.simulation.profile import ContinuationHabit, Profile
from streamroute.simulation.text import answer_tokens, expected_text

PROMPT = "What is the colour of the sea?"
TOKENS = answer_tokens(PROMPT, 8)
BEGUN, REST, ANEW = "".join(TOKENS[:3]), "".join(TOKENS[3:]), expected_text(PROMPT, 5)
ASKED = f"Your answer was interrupted. It ended with <anchor>{TOKENS[2]}</anchor>. Go on."


def body(*turns: tuple[str, str], **fields: object) -> ChatBody:
    messages = [{"role": "user", "content": PROMPT}, *({"role": role, "content": text} for role, text in turns)]
    return read_chat_body(json.dumps({"model": "m", "max_tokens": 5, "messages": messages, **fields}).encode())


def said(request: ChatBody, habit: ContinuationHabit = "prefill") -> str:
    return "".join(compose(request, Profile(continuation=habit))[0].pieces)


@pytest.mark.parametrize(
    ("habit", "prefilled", "instructed"),
    [
        ("prefill", REST, REST),
        ("exact", REST, REST),
        ("anchor", REST, TOKENS[2] + REST),
        ("preamble", REST, PREAMBLE + TOKENS[2] + REST),
        ("overlap", REST, BEGUN + REST),
        ("rejects", REST, TOKENS[2] + REST),
        ("ignores", ANEW, ANEW),
        ("restart", ANEW, ANEW),
    ],
)
def test_habits(habit: ContinuationHabit, prefilled: str, instructed: str) -> None:
    """Five new tokens, with what the habit puts before them; `rejects` is refused before it gets here."""
    assert said(body(("assistant", BEGUN)), habit) == prefilled
    assert said(body(("assistant", BEGUN), ("user", ASKED)), habit) == instructed


@pytest.mark.parametrize("field", [{"continue_final_message": True, "add_generation_prompt": False}, {}])
def test_a_beginning_without_its_last_space(field: dict[str, object]) -> None:
    """Clients strip the end; the space is given back and is no new token."""
    assert said(body(("assistant", BEGUN.rstrip()), **field)) == " " + REST


def test_only_a_beginning_of_ours_is_carried_on() -> None:
    """Another text, or a question that asks for nothing of the kind, is answered anew."""
    assert said(body(("assistant", "Something else"))) == ANEW
    assert said(body(("assistant", BEGUN), ("user", "Thanks!"))) == expected_text("Thanks!", 5)
    assert said(body(("assistant", "Something else"), ("user", ASKED))) == expected_text(ASKED, 5)


def test_refused_prefill() -> None:
    """A provider that rejects says so with 400, and takes instructions."""
    rejects = Profile(continuation="rejects")
    with pytest.raises(RequestError, match="does not support assistant message prefill"):
        check_prefill(body(("assistant", BEGUN)), rejects)
    check_prefill(body(("assistant", BEGUN), ("user", ASKED)), rejects)
    check_prefill(body(("assistant", BEGUN)), Profile())
