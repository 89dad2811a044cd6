"""The request: each field of the hub form is translated, left out because nothing of the answer depends on it, or a
reason why this cannot be asked here. `_FIELDS` has them all; a field that nobody here knows is such a reason too, for
what it means nobody here knows either.

Sources: https://platform.claude.com/docs/en/api/messages/create; for the range of temperatures and what is gathered in
`system`, Anthropic's own translation (https://platform.claude.com/docs/en/api/openai-sdk); for efforts and budgets,
https://platform.claude.com/docs/en/build-with-claude/effort and OpenRouter's shares of the limit
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens); output formats as in recorded exchanges.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Reasoning, Sampling
from streamroute.wire.anthropic_messages.messages import conversation, opens_with_a_thought
from streamroute.wire.anthropic_messages.tools import tool_choice, tools
from streamroute.wire.translation import UntranslatableError

_NATIVE = ("cache_control", "output_config", "thinking", "top_k")
"""Fields of Anthropic's own that clients may send along; what they ask for has a place in the hub form."""
_SERVICE_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "flex": "standard_only",
                  "standard_only": "standard_only"}  # fmt: skip
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGET_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
_LEAST_BUDGET = 1024
"""Tokens; Anthropic refuses less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeOptions:
    """What differs between models and API versions; see `providers.options.Quirks`."""

    default_max_tokens: int
    sampling: Sampling
    reasoning: Reasoning


def encode_request(chat: ChatRequest, *, model: str, options: EncodeOptions) -> dict[str, object]:
    """Return the body for a provider; raises UntranslatableError with the reason why there can be none."""
    payload = chat.payload
    _check(payload)
    messages = payload["messages"]
    system, turns = conversation(messages if isinstance(messages, list) else [])
    max_tokens = chat.max_output_tokens or options.default_max_tokens
    body: dict[str, object] = {"model": model, "max_tokens": max_tokens, "messages": turns}
    if system:
        body["system"] = system
    if chat.stream:
        body["stream"] = True
    body |= _sampling(payload, options.sampling)
    if stop := payload.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if declared := payload.get("tools"):
        body["tools"] = tools(declared)
        choice = tool_choice(payload.get("tool_choice"), payload.get("parallel_tool_calls"))
        if choice is not None:
            body["tool_choice"] = choice
    user = _user(payload)
    if user is not None:
        body["metadata"] = {"user_id": user}
    if (tier := _SERVICE_TIERS.get(str(payload.get("service_tier")))) is not None:
        body["service_tier"] = tier
    body |= {name: payload[name] for name in _NATIVE if payload.get(name) is not None}
    _reason(payload, body, options.reasoning, max_tokens)
    if format_ := _format(payload.get("response_format")):
        body["output_config"] = {**_mapping(body.get("output_config")), "format": format_}
    return body


def _check(payload: Mapping[str, object]) -> None:
    for name, value in payload.items():
        if value is None:
            continue
        if name not in _FIELDS:
            raise UntranslatableError(f"it does not know `{name}`", param=name)
        if (check := _FIELDS[name]) is not None:
            check(name, value)


def _sampling(payload: Mapping[str, object], how: Sampling) -> dict[str, object]:
    """Anthropic's temperatures end at 1: higher ones are lowered to it. 1 is the default of both, so that it can be
    left out wherever it is not taken."""
    given = {name: payload[name] for name in ("temperature", "top_p") if payload.get(name) is not None}
    if how == "drop":
        return {}
    if how == "refuse":
        for name, value in given.items():
            if value != 1:
                raise UntranslatableError(f"it does not take `{name}`", param=name)
        return {}
    temperature = given.get("temperature")
    return given | ({"temperature": 1} if isinstance(temperature, int | float) and temperature > 1 else {})


def _reason(payload: Mapping[str, object], body: dict[str, object], how: Reasoning, max_tokens: int) -> None:
    """Translate `reasoning_effort`; a `thinking` that the client has written itself stays.

    Anthropic refuses thoughts beside a tool that must be called, and, with a budget, in a tool loop whose earlier
    thought has not come back: there it answers without. A budget needs room below the limit.
    """
    effort = payload.get("reasoning_effort")
    if effort is None or how == "drop" or "thinking" in body:
        return
    if not isinstance(effort, str) or effort not in {"none", *_EFFORTS}:
        known = ", ".join(["none", *_EFFORTS])
        raise UntranslatableError(f"it knows the efforts {known}, not {effort!r}", param="reasoning_effort")
    choice = body.get("tool_choice")
    is_forced = isinstance(choice, Mapping) and choice.get("type") in {"any", "tool"}
    if how == "effort":
        if effort == "none":
            body["thinking"] = {"type": "disabled"}
            return
        body["output_config"] = {"effort": _EFFORTS[effort], **_mapping(body.get("output_config"))}
        if not is_forced:
            body["thinking"] = {"type": "adaptive"}
        return
    turns = body["messages"]
    can_think = not is_forced and isinstance(turns, list) and opens_with_a_thought(turns)
    if effort != "none" and can_think and max_tokens > _LEAST_BUDGET:
        budget = max(_LEAST_BUDGET, int(max_tokens * _BUDGET_SHARES[effort]))
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _format(wanted: object) -> dict[str, object] | None:
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return None
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else None
    if wanted.get("type") != "json_schema" or not isinstance(schema, Mapping):
        raise UntranslatableError("it gives JSON by a schema only (`response_format`)", param="response_format")
    return {"type": "json_schema", "schema": schema}


def _user(payload: Mapping[str, object]) -> str | None:
    """Return whom the provider may tell apart: Anthropic's own field first, then OpenAI's two."""
    metadata = payload.get("metadata")
    own = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    for value in (own, payload.get("safety_identifier"), payload.get("user")):
        if isinstance(value, str) and value:
            return value
    return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _only(*values: object) -> Callable[[str, object], None]:
    def check(name: str, value: object) -> None:
        if value not in values:
            raise UntranslatableError(f"it has no `{name}`", param=name)

    return check


def _stop(name: str, value: object) -> None:
    for each in [value] if isinstance(value, str) else value if isinstance(value, list) else ():
        if isinstance(each, str) and not each.strip():
            raise UntranslatableError("it does not stop at white space (`stop`)", param=name)


def _thinking(name: str, value: object) -> None:
    """Others have a field of this name too, such as Z.ai: theirs is not Anthropic's to read."""
    is_own = isinstance(value, Mapping) and value.keys() <= {"type", "budget_tokens", "display"}
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not is_own or kind not in _THINKING or (kind == "enabled") != ("budget_tokens" in _mapping(value)):
        raise UntranslatableError("it has another `thinking`: a type, and a budget where that is `enabled`", param=name)


_THINKING = frozenset({"adaptive", "enabled", "disabled", "between_tools"})
_NOTHING = _only(False, 0, "", [], {})  # noqa: FBT003 - a value as clients send it
_FIELDS: dict[str, Callable[[str, object], None] | None] = {
    # translated
    **dict.fromkeys(("model", "messages", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p",
                     "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "user",
                     "safety_identifier", "metadata", "service_tier", *_NATIVE)),
    "stop": _stop,
    "thinking": _thinking,
    # nothing of the answer depends on them; `seed` is best effort by OpenAI's own words
    **dict.fromkeys(("stream_options", "store", "prompt_cache_key", "prompt_cache_retention", "prediction", "seed")),
    # only where they ask for nothing, or for what there is
    **dict.fromkeys(("logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty", "functions"),
                    _NOTHING),
    **dict.fromkeys(("audio", "web_search_options"), _only()),
    "function_call": _only("none", "auto"),
    "n": _only(1),
    "modalities": _only(["text"]),
    "verbosity": _only("medium"),
}  # fmt: skip
