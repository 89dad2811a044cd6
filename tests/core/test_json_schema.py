"""Values against the JSON Schemas that clients send."""

import pytest

from streamroute.core.quality.json_schema import MAX_STEPS, violated

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["id"]}},
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("value", "schema", "keyword"),
    [
        ("x", {"type": "string"}, None),
        (1, {"type": "string"}, "type"),
        (True, {"type": "integer"}, "type"),
        (1.0, {"type": "integer"}, None),
        (1.5, {"type": "integer"}, "type"),
        (None, {"type": ["string", "null"]}, None),
        (3, {"type": "something new"}, None),
        ("b", {"enum": ["a", "b"]}, None),
        (True, {"enum": [1]}, "enum"),
        (2, {"const": 1}, "const"),
        (0, {"minimum": 1}, "minimum"),
        (1, {"exclusiveMinimum": 1}, "exclusiveMinimum"),
        (5, {"maximum": 4}, "maximum"),
        ("abc", {"maxLength": 2}, "maxLength"),
        ([1], {"minItems": 2}, "minItems"),
        ([1, "x"], {"items": {"type": "integer"}}, "type"),
        ([1, "x"], {"prefixItems": [{"type": "integer"}, {"type": "string"}]}, None),
        ({"a": 1}, {"required": ["b"]}, "required"),
        ({"a": 1}, {"properties": {"a": {"type": "string"}}}, "type"),
        ({"a": 1}, {"properties": {}, "additionalProperties": False}, "additionalProperties"),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, "type"),
        ({"a": 1}, {"patternProperties": {"a": {}}, "additionalProperties": False}, None),
        (1, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "anyOf"),
        (1, {"oneOf": [{"type": "integer"}, {"minimum": 0}]}, "oneOf"),
        (1, {"allOf": [{"type": "integer"}, {"minimum": 2}]}, "allOf"),
        (1, False, "false"),
        ({"id": 1, "next": {"id": 2}}, TREE, None),
        ({"id": 1, "next": {"id": 2, "next": {}}}, TREE, "required"),
        (1, {"$ref": "https://elsewhere"}, None),
        (1, {"$ref": "#/nothing/there"}, None),
    ],
)
def test_what_is_violated(value: object, schema: object, keyword: str | None) -> None:
    """The first keyword, and none where the value keeps to all that is known here."""
    found = violated(value, schema) if isinstance(schema, dict) else violated([value], {"items": schema})
    assert found == keyword


def test_what_is_too_large_is_not_judged() -> None:
    """Neither long values nor schemas that lead round in circles hold everybody up."""
    assert violated([1] * (MAX_STEPS + 1) + ["x"], {"items": {"type": "integer"}}) is None
    assert violated(1, {"$ref": "#"}) is None
