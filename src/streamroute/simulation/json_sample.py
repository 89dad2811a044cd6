"""A small JSON value that satisfies a JSON Schema, for tool arguments and structured answers.

Covers what `response_format` and function parameters use: the types, `enum`, `const`, `anyOf`, `$ref` into `$defs`,
`required`, `minItems` and `minimum`. Anything else is ignored, so a schema with patterns may not be satisfied.
"""

from collections.abc import Mapping

_MAX_DEPTH = 8
"""Recursive schemas end in null here; structured outputs allow five levels."""


def sample(schema: object, word: str) -> object:
    """Return a value for `schema`; strings in it are `word`. Deterministic."""
    return _sample(schema, word, schema, 0)


def _sample(schema: object, word: str, root: object, depth: int) -> object:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    resolved = _resolve(schema, root)
    if "const" in resolved:
        return resolved["const"]
    for key in ("enum", "anyOf", "oneOf"):
        options = resolved.get(key)
        if isinstance(options, list) and options:
            return options[0] if key == "enum" else _sample(options[0], word, root, depth + 1)
    kind = resolved.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or "properties" in resolved:
        properties = resolved.get("properties")
        named = properties if isinstance(properties, Mapping) else {}
        return {str(name): _sample(part, word, root, depth + 1) for name, part in named.items()}
    if kind == "array":
        least = resolved.get("minItems")
        size = max(1, least) if isinstance(least, int) else 1
        return [_sample(resolved.get("items"), word, root, depth + 1) for _ in range(min(size, 16))]
    return _scalar(kind, resolved, word)


def _resolve(schema: Mapping[str, object], root: object) -> Mapping[str, object]:
    pointer = schema.get("$ref")
    if not isinstance(pointer, str) or not pointer.startswith("#"):
        return schema
    place = root
    for part in pointer.removeprefix("#").strip("/").split("/"):
        if part:
            place = place.get(part) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else {}


def _scalar(kind: object, schema: Mapping[str, object], word: str) -> object:
    if kind in {"integer", "number"}:
        least = schema.get("minimum")
        return least if isinstance(least, int | float) else 7
    if kind == "boolean":
        return True
    return None if kind == "null" else word
