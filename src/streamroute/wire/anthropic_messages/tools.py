"""Tools, and which of them must be called."""

from collections.abc import Mapping

from streamroute.wire.translation import UntranslatableError

_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
"""The last is Mistral's word."""


def tools(declared: object) -> list[dict[str, object]]:
    """Return the tools as Anthropic declares them; raises UntranslatableError for others than functions."""
    return [_tool(tool, at) for at, tool in enumerate(declared if isinstance(declared, list) else ())]


def tool_choice(wanted: object, is_parallel: object) -> dict[str, object] | None:
    """Return the choice; None where the default, `auto`, says it."""
    choice: dict[str, object] | None = None
    if isinstance(wanted, str) and wanted in _CHOICES:
        choice = {"type": _CHOICES[wanted]}
    elif isinstance(wanted, Mapping) and wanted.get("type", "function") == "function":
        function = wanted.get("function")
        choice = {"type": "tool", "name": function.get("name") if isinstance(function, Mapping) else None}
    elif wanted is not None:
        raise UntranslatableError(f"it cannot choose among tools by {wanted!r}", param="tool_choice")
    if is_parallel is False and choice != {"type": "none"}:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _tool(tool: object, at: int) -> dict[str, object]:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping) or not isinstance(function, Mapping):
        raise UntranslatableError(f"it only takes functions as tools (tools[{at}])", param="tools")
    schema = function.get("parameters")
    schema = schema if isinstance(schema, Mapping) else {}
    optional = {
        "description": function.get("description"),
        "strict": function.get("strict") or None,
        "cache_control": tool.get("cache_control") or function.get("cache_control"),
    }
    return {
        "name": function.get("name"),
        "input_schema": schema if "type" in schema else {"type": "object", **schema},
        **{name: value for name, value in optional.items() if value is not None},
    }
