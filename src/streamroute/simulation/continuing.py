"""Carrying on an answer that was begun: what models make of such a request, well-behaved and not.

Two ways of asking: a trailing assistant message (also with `prefix: true` or `continue_final_message: true`), or an
instruction by the user after an assistant message. `Profile.continuation` says what comes of it:

| habit | a trailing assistant message | an instruction to continue |
|---|---|---|
| `prefill`, `exact` | the rest | the rest |
| `anchor` | the rest | what the instruction quotes, then the rest |
| `preamble` | the rest | an introduction, the quote, then the rest |
| `overlap` | the rest | the last three words again, then the rest |
| `rejects` | 400, as newer Claude models | as `anchor` |
| `ignores`, `restart` | the answer from its beginning | the answer from its beginning |

`max_tokens` counts new tokens alone. Quotes and repeated words do not count.
"""

import re

from streamroute.errors import RequestError
from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.profile import MAX_TOKENS, ContinuationHabit, Profile
from streamroute.simulation.text import answer_tokens

PREAMBLE = "Sure, here is the continuation:\n"
_QUOTED = re.compile(r"<anchor>(.+?)</anchor>|«(.+?)»|“(.+?)”|\"(.+?)\"", re.DOTALL)
_ASKS = re.compile(r"continu|interrupted|go on|carry on", re.IGNORECASE)
_OVERLAP_WORDS = 3


def check_prefill(body: ChatBody, profile: Profile) -> None:
    """Raise `RequestError` where a trailing assistant message is not taken."""
    if body.last_role == "assistant" and profile.continuation == "rejects":
        raise RequestError(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def continued_tokens(body: ChatBody, profile: Profile, choice: int) -> list[str] | None:
    """Return the tokens of a continuation; None where the request asks for none, or its beginning is not ours."""
    habit = profile.continuation if profile.continues_prefill else "ignores"
    if body.prefill:
        prompt, begun, asked = body.prompt, body.prefill, None
    elif body.begun and _ASKS.search(body.prompt):
        prompt, begun, asked = body.earlier_prompt, body.begun, body.prompt
    else:
        return None
    tokens = answer_tokens(prompt, MAX_TOKENS, choice)
    rest = _rest(tokens, begun, body.max_tokens, profile.tokens)
    if rest is None and asked is not None:
        return None
    if rest is None or habit in {"ignores", "restart"}:
        return tokens[: profile.tokens if body.max_tokens is None else body.max_tokens]
    return rest if asked is None else [*_before_the_rest(habit, asked, begun), *rest]


def _rest(tokens: list[str], begun: str, more: int | None, usual: int) -> list[str] | None:
    """Return what follows `begun`: `more` tokens, else up to the `usual` end; None if it is no beginning."""
    left = begun
    for i, token in enumerate(tokens):
        if len(left) < len(token):
            if not token.startswith(left):
                return None
            tail = token[len(left) :]
            is_new = bool(left) and not tail.isspace()
            first = [tail, *tokens[i + 1 :]]
            count = usual - i if more is None else more + (bool(left) and not is_new)
            return first[: max(0, count)]
        if not left.startswith(token):
            return None
        left = left[len(token) :]
    return []


def _before_the_rest(habit: ContinuationHabit, asked: str, begun: str) -> list[str]:
    quoted = _QUOTED.search(asked)
    quote = next(filter(None, quoted.groups()), "") if quoted is not None else ""
    match habit:
        case "anchor" | "rejects":
            return [quote]
        case "preamble":
            return [PREAMBLE, quote]
        case "overlap":
            return [f"{word} " for word in begun.split()[-_OVERLAP_WORDS:]]
        case _:
            return []
