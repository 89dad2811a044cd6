"""Environment and flags over the file."""

from tests.config.conftest import Load, Problems

UPSTREAM = '[upstreams."gpt-4.1"]\nprovider = "lab"\nmodel = "a"\n'


def test_flag_beats_environment_beats_file_beats_default(load: Load) -> None:
    """Precedence, and each value says where it came from."""
    text = "[server]\nkeepalive_s = 1\nbody_timeout_s = 1\nheader_timeout_s = 1\n"
    environ = {"STREAMROUTE__SERVER__KEEPALIVE_S": "2", "STREAMROUTE__SERVER__BODY_TIMEOUT_S": "2"}
    config = load(text, environ, server__keepalive_s="3")
    server, sources = config.server, config.sources
    assert (server.keepalive_s, server.body_timeout_s, server.header_timeout_s, server.drain_delay_s) == (3, 2, 1, 0)
    assert (sources["server.keepalive_s"].where, sources["server.keepalive_s"].detail) == ("flag", "--keepalive-s")
    assert str(sources["server.body_timeout_s"]) == "STREAMROUTE__SERVER__BODY_TIMEOUT_S"
    assert str(sources["server.header_timeout_s"]).startswith("c.toml:")
    assert "server.drain_delay_s" not in sources


def test_names_match_without_case_and_with_underscores_for_the_rest(load: Load) -> None:
    """A variable's name cannot hold a dot or a dash."""
    environ = {"STREAMROUTE__upstreams__GPT_4_1__Model": "b", "STREAMROUTE__ROUTES__CHAT__DEADLINES__STALL_S": "3"}
    config = load(UPSTREAM, environ)
    assert [upstream.model for upstream in config.upstreams.values()] == ["small-1", "b"]
    assert config.routes["chat"].deadlines.stall_s == 3


def test_values_are_toml_or_else_text(load: Load) -> None:
    """Numbers, arrays and text; text that looks like a number stays text where the file has text."""
    environ = {
        "STREAMROUTE__UPSTREAMS__ONE__MODEL": "405",
        "STREAMROUTE__ROUTES__CHAT__UPSTREAMS": '["gpt-4.1", "one"]',
        "STREAMROUTE__SERVER__CORS_ORIGINS": "https://a.example",
        "STREAMROUTE__SERVER__LISTEN": '"127.0.0.1:1"',
        "STREAMROUTE__LOG__LEVEL": "debug",
    }
    config = load(UPSTREAM, environ)
    assert [upstream.model for upstream in config.upstreams.values()] == ["405", "a"]
    assert config.routes["chat"].upstreams == ("gpt-4.1", "one")
    assert config.server.cors_origins == ("https://a.example",)
    assert config.server.port == 1
    assert config.log.level == "debug"


def test_a_value_cannot_smuggle_in_other_settings(problems: Problems) -> None:
    """A line break in a variable ends nothing: the whole is one value."""
    found = problems("", {"STREAMROUTE__SERVER__KEEPALIVE_S": "1\nlisten = '0.0.0.0:1'"})
    assert found == [
        "STREAMROUTE__SERVER__KEEPALIVE_S: server.keepalive_s: expected a number, found a string",
    ]


def test_keys_may_come_from_the_environment_as_they_are(load: Load) -> None:
    """A secret override is text, is not expanded, and is not taken for a key in the file."""
    environ = {"STREAMROUTE__PROVIDERS__LAB__API_KEY": "${x}1", "STREAMROUTE__SERVER__API_KEYS": "k1"}
    config = load("", environ)
    assert [provider.api_key for provider in config.providers.values()] == ["${x}1"]
    assert config.server.api_keys == ("k1",)


def test_a_header_may_be_added(load: Load) -> None:
    """The one table besides those of names whose keys are free."""
    config = load("", {"STREAMROUTE__PROVIDERS__LAB__HEADERS__X_TITLE": "mine"})
    assert [dict(provider.headers) for provider in config.providers.values()] == [{"X-TITLE": "mine"}]


def test_an_override_replaces_what_is_not_even_a_table(problems: Problems) -> None:
    """The file is wrong there anyway; nothing breaks."""
    assert problems("[providers.p]\nkind = 'vllm'\nquirks = 3\n", {"STREAMROUTE__SEVER__X": "1"})
    found = problems("[log]\nlevel = []\n", {"STREAMROUTE__PROVIDERS__LAB__QUIRKS__USAGE_ON_STREAM": "sometimes"})
    assert [problem.split(":")[0] for problem in found] == [
        "c.toml",
        "STREAMROUTE__PROVIDERS__LAB__QUIRKS__USAGE_ON_STREAM",
    ]


def test_unknown_names_are_errors(problems: Problems) -> None:
    """A typo in a variable's name is found, with the nearest name; nothing is invented."""
    assert problems("", {"STREAMROUTE__SERVER__LISEN": "1"}) == [
        'STREAMROUTE__SERVER__LISEN: server.lisen: no such setting here; did you mean "listen"?'
    ]
    assert problems("", {"STREAMROUTE__PROVIDERS__LAP__API_KEY": "canary"}) == [
        'STREAMROUTE__PROVIDERS__LAP__API_KEY: providers.lap: no such setting here; did you mean "lab"?'
    ]
    assert problems("", {"STREAMROUTE__SERVER": "1"})[0].startswith("STREAMROUTE__SERVER: server: is a table")
    assert problems("", {"STREAMROUTE__SERVER__LISTEN__X": "1"})[0].endswith("nothing can be set here")
    assert (
        problems("", server__listne="x")[0] == '--listne: server.listne: no such setting here; did you mean "listen"?'
    )


def test_a_wrong_value_is_blamed_on_its_variable(problems: Problems) -> None:
    """Not on the line of the file that it replaced."""
    found = problems("[server]\nkeepalive_s = 1\n", {"STREAMROUTE__SERVER__KEEPALIVE_S": "999"})
    assert found == ["STREAMROUTE__SERVER__KEEPALIVE_S: server.keepalive_s: 999 is too large; the most is 300"]


def test_an_override_saves_a_reference_from_being_resolved(load: Load) -> None:
    """What the file says does not matter where something stronger speaks."""
    config = load('[server]\nlisten = "${NOPE}"\n', {"STREAMROUTE__SERVER__LISTEN": "127.0.0.1:9"})
    assert config.server.port == 9


def test_ambiguous_names_are_errors(problems: Problems) -> None:
    """Two names that one variable could mean."""
    text = '[upstreams.a-b]\nprovider = "lab"\nmodel = "m"\n[upstreams.a_b]\nprovider = "lab"\nmodel = "m"\n'
    assert "matches several names here" in problems(text, {"STREAMROUTE__UPSTREAMS__A_B__MODEL": "x"})[0]
