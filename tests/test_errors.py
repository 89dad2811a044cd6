"""The exceptions of the edges."""

import pytest

from streamroute.errors import ConfigError, Problem, RequestError, StreamrouteError, TransportError


def every_class() -> list[type[StreamrouteError]]:
    return [StreamrouteError, *StreamrouteError.__subclasses__()]


def test_kinds_are_distinct_words() -> None:
    """`kind` is a metric label: stable, low-cardinality, one a class."""
    kinds = [each.kind for each in every_class()]
    assert sorted(kinds) == ["config", "feed", "internal", "invalid_request", "store", "transport"]
    assert {RequestError, ConfigError, TransportError} <= set(every_class())


def test_a_request_error_says_what_the_client_reads() -> None:
    """Unless told otherwise it is a 400 in OpenAI's words."""
    error = RequestError("no", param="model")
    assert (str(error), error.message, error.status, error.code, error.param) == ("no", "no", 400, None, "model")
    assert error.type == "invalid_request_error"
    assert RequestError("no", status=404, code="model_not_found", type_="x").type == "x"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(path="routes.chat", message="no", file="config.toml", line=7), "config.toml:7: routes.chat: no"),
        (Problem(path="routes.chat", message="no", file="config.toml"), "config.toml: routes.chat: no"),
        (Problem(path="routes.chat", message="no"), "routes.chat: no"),
        (Problem(path="", message="no", file="config.toml"), "config.toml: no"),
        (Problem(path="", message="no"), "no"),
    ],
)
def test_a_problem_names_its_place(problem: Problem, text: str) -> None:
    """File and line first, as editors and terminals read them; what is not known is left out."""
    assert str(problem) == text


def test_a_config_error_has_every_problem() -> None:
    """All mistakes at once, a line each."""
    problems = [Problem(path="a", message="x"), Problem(path="b", message="y")]
    error = ConfigError(problems)
    assert str(error) == "a: x\nb: y"
    assert error.problems == tuple(problems)


def test_a_transport_error_has_its_failure() -> None:
    """The word that becomes a failure's kind."""
    error = TransportError("reset", "the connection was reset")
    assert (error.failure, error.message, str(error)) == (
        "reset",
        "the connection was reset",
        "the connection was reset",
    )
