"""Does a value keep to a JSON Schema? The keywords that clients give models, and no others.

A subset of JSON Schema 2020-12 (https://json-schema.org/draft/2020-12): types, required and further properties, items,
lengths, bounds, `enum`, `const`, `anyOf`, `oneOf`, `allOf` and local references. Whatever else a schema says holds:
patterns above all, because a client's regular expression could take for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_STEPS = 20_000
"""Values that are looked at, about 10 ms; what is larger is not judged."""
MAX_DEPTH = 60

Schema = Mapping[str, object]

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    ),
}
_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
_SIZES: Mapping[str, type] = {"minLength": str, "maxLength": str, "minItems": list, "maxItems": list}


class _TooLargeError(Exception):
    """It would take too long to look at all of it."""


def violated(value: object, schema: Schema) -> str | None:
    """Return the keyword that a decoded value violates; None where it keeps to the schema, or is too large to tell."""
    try:
        return _Check(schema).look(value, schema, 0)
    except (_TooLargeError, OverflowError):
        return None


@dataclass(slots=True)
class _Check:
    root: Schema
    steps: int = 0

    def look(self, value: object, schema: object, depth: int) -> str | None:
        self.steps += 1
        if self.steps > MAX_STEPS or depth > MAX_DEPTH:
            raise _TooLargeError
        if schema is False:
            return "false"
        if not isinstance(schema, Mapping):
            return None
        if "$ref" in schema:
            found = self.look(value, self._referred(schema["$ref"]), depth + 1)
            if found is not None:
                return found
        return self._itself(value, schema) or self._parts(value, schema, depth) or self._ways(value, schema, depth)

    def _referred(self, ref: object) -> object:
        """Follow `#/$defs/name`; anything else is not judged."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            return None
        found: object = self.root
        for part in ref.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _itself(self, value: object, schema: Schema) -> str | None:
        types = schema.get("type")
        wanted = [types] if isinstance(types, str) else types if isinstance(types, list) else []
        known = [_TYPES[each] for each in wanted if isinstance(each, str) and each in _TYPES]
        if known and not any(fits(value) for fits in known):
            return "type"
        options = schema.get("enum")
        if isinstance(options, list) and not any(_same(value, each) for each in options):
            return "enum"
        if "const" in schema and not _same(value, schema["const"]):
            return "const"
        if isinstance(value, int | float) and not isinstance(value, bool):
            for name, holds in _BOUNDS.items():
                bound = schema.get(name)
                if isinstance(bound, int | float) and not isinstance(bound, bool) and not holds(value, bound):
                    return name
        for name, kind in _SIZES.items():
            bound = schema.get(name)
            if isinstance(value, kind) and isinstance(bound, int) and isinstance(value, str | list):
                is_short, is_long = len(value) < bound, len(value) > bound
                if is_short if name.startswith("min") else is_long:
                    return name
        return None

    def _parts(self, value: object, schema: Schema, depth: int) -> str | None:
        if isinstance(value, dict):
            return self._properties(value, schema, depth)
        if isinstance(value, list):
            prefix = schema.get("prefixItems")
            first = prefix if isinstance(prefix, list) else []
            for position, each in enumerate(value):
                found = self.look(each, first[position] if position < len(first) else schema.get("items"), depth + 1)
                if found is not None:
                    return found
        return None

    def _properties(self, value: Mapping[str, object], schema: Schema, depth: int) -> str | None:
        required, known = schema.get("required"), schema.get("properties")
        if isinstance(required, list) and any(isinstance(key, str) and key not in value for key in required):
            return "required"
        properties = known if isinstance(known, Mapping) else {}
        has_patterns = "patternProperties" in schema
        for key, each in value.items():
            is_further = key not in properties and not has_patterns
            part = properties.get(key, schema.get("additionalProperties") if is_further else None)
            found = self.look(each, part, depth + 1)
            if found is not None:
                return "additionalProperties" if part is False else found
        return None

    def _ways(self, value: object, schema: Schema, depth: int) -> str | None:
        for name in ("anyOf", "oneOf", "allOf"):
            ways = schema.get(name)
            if not isinstance(ways, Sequence) or isinstance(ways, str) or not ways:
                continue
            fit = [self.look(value, each, depth + 1) is None for each in ways]
            holds = {"anyOf": any(fit), "oneOf": sum(fit) == 1, "allOf": all(fit)}[name]
            if not holds:
                return name
        return None


def _same(one: object, two: object) -> bool:
    """JSON knows no number that is a boolean."""
    return one == two and isinstance(one, bool) == isinstance(two, bool)
