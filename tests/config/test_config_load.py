"""What a file comes to, and what is said when it does not."""

from decimal import Decimal
from pathlib import Path

import pytest

from streamroute.config.explain import effective
from streamroute.config.load import default_config_path, load_config
from streamroute.config.schema import config_json_schema
from streamroute.core.health.options import HEDGE_SPEND, HealthOptions
from streamroute.core.upstream import CredentialId, ProviderName, UpstreamId
from streamroute.errors import ConfigError
from tests.config.conftest import BASE, Load, Problems

LINES = BASE.count("\n")


def test_a_small_file_becomes_options(load: Load) -> None:
    """Tables become the values that the rest of the program takes; what is not said is a default."""
    config = load(
        "retry = { same_upstream = 1, wait_for_preferred_s = 3.0 }\n"
        "deadlines = { stall_s = 7 }\n"
        "[upstreams.two]\n"
        'provider = "lab"\nmodel = "m/2"\n'
        "price = { input_per_mtok = 0.15, output_per_mtok = 2 }\n"
        'capabilities = { tools = true, continuation = "prefill" }\n'
        'failure_domain = "rack-1"\n'
    )
    provider = config.providers[ProviderName("lab")]
    assert provider.base_url == "http://127.0.0.1:9001/v1"
    assert provider.api_key is None
    two = config.upstreams[UpstreamId("two")]
    assert two.price is not None
    assert two.price.input_per_mtok == Decimal("0.15")
    assert two.capabilities.continuation == "prefill"
    assert two.failure_domain == "rack-1"
    assert config.upstreams[UpstreamId("one")].failure_domain == "lab"
    route = config.routes["chat"]
    assert route.retry.wait_for_preferred_s == 3.0
    assert route.deadlines.stall_s == 7
    assert route.deadlines.connect_s == 2.0
    assert config.server.port == 8700
    assert not config.is_simulated
    assert config.disabled == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version = 1\n", "c.toml: upstreams: there is none; add [upstreams.NAME] with a provider and a model"),
        ("version = 1\na = \n", "c.toml:2: not valid TOML: Invalid value"),
        ("version = 1\na = 1\na = 2\n", "c.toml:3: not valid TOML: Cannot overwrite a value"),
        ("version = 1\na = [1,\n", "c.toml:3: not valid TOML: Invalid value"),
    ],
)
def test_a_file_that_is_not_a_configuration(problems: Problems, text: str, expected: str) -> None:
    """Syntax errors have a line too, and are the only thing that is said then."""
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(expected)


AT = LINES + 1
"""The line on which what a test adds to the base begins."""


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ('[server]\nlisen = "x"\n', {}, f'c.toml:{AT + 1}: server.lisen: unknown key "lisen"; did you mean "listen"?'),
        ("[sever]\n", {}, f'c.toml:{AT}: sever: unknown key "sever"; did you mean "server"?'),
        ("plan = 'falover'\n", {}, f"c.toml:{AT}: routes.chat.plan: \"falover\" is not one of 'failover'"),
        ("deadlines = { stal_s = 1 }\n", {}, f'c.toml:{AT}: routes.chat.deadlines.stal_s: unknown key "stal_s"; did'),
        ("deadlines = { stall_s = 0 }\n", {}, f"c.toml:{AT}: routes.chat.deadlines.stall_s: 0 is too small; the least"),
        ("deadlines = { stall_s = '5s' }\n", {}, f"c.toml:{AT}: routes.chat.deadlines.stall_s: expected a number, fou"),
        ("deadlines = { stall_s = true }\n", {}, f"c.toml:{AT}: routes.chat.deadlines.stall_s: expected a number, fou"),
        ("deadlines = { stall_s = inf }\n", {}, f"c.toml:{AT}: routes.chat.deadlines.stall_s: must be a finite number"),
        ("deadlines = { stall_s = 400 }\n", {}, f"c.toml:{AT}: routes.chat.deadlines.stall_s: 400 s is more than tot"),
        ("deadlines = 5\n", {}, f"c.toml:{AT}: routes.chat.deadlines: expected a table, found a whole number"),
        ("retry = { same_upstream = 6 }\n", {}, f"c.toml:{AT}: routes.chat.retry.same_upstream: 6 is too large; the m"),
        ("retry = { same_upstream = 1.5 }\n", {}, f"c.toml:{AT}: routes.chat.retry.same_upstream: expected a whole n"),
        (
            "[routes.chat.deadlines]\nconnect_s = 3\nfirst_token_s = 2\n",
            {},
            f"c.toml:{AT + 1}: routes.chat.deadlines.connect_s: 3 s is more than first_token_s, 2 s",
        ),
        (
            '[routes.two]\nupstreams = [\n "one",\n "onne",\n]\n',
            {},
            f'c.toml:{AT + 3}: routes.two.upstreams[1]: there is no upstream "onne"; did you mean "one"?',
        ),
        ('[routes.two]\nupstreams = ["one", "one"]\n', {}, f'c.toml:{AT + 1}: routes.two.upstreams[1]: "one" is list'),
        (
            "[routes.two]\nupstreams = []\n",
            {},
            f"c.toml:{AT + 1}: routes.two.upstreams: is missing; list the upstreams that serve it, or `tiers` of them",
        ),
        ("[routes.two]\n", {}, f"c.toml:{AT}: routes.two.upstreams: is missing"),
        ('[routes.one]\nupstreams = ["one"]\n', {}, f"c.toml:{AT}: routes.one: an upstream has the same name"),
        ('[routes."a/b"]\nupstreams = ["one"]\n', {}, f'c.toml:{AT}: routes."a/b": a name begins with a letter'),
        (
            "[upstreams.x]\nprovider = 'lap'\nmodel = 'm'\n",
            {},
            f'c.toml:{AT + 1}: upstreams.x.provider: there is no provider "lap"; did you mean "lab"?',
        ),
        ("[upstreams.x]\nprovider = 'lab'\n", {}, f"c.toml:{AT}: upstreams.x.model: is missing; it has no default"),
        (
            "[upstreams.x]\nprovider = 'lab'\nmodel = 'm'\nprice = { input_per_mtok = -1, output_per_mtok = 1 }\n",
            {},
            f"c.toml:{AT + 3}: upstreams.x.price.input_per_mtok: -1 is too small; the least is 0",
        ),
        (
            "[providers.p]\nkind = 'opnai'\n",
            {},
            f'c.toml:{AT + 1}: providers.p.kind: unknown kind "opnai"; did you mea',
        ),
        ("[providers.p]\nkind = 'azure_openai'\n", {}, f'c.toml:{AT}: providers.p: kind "azure_openai" needs base_url'),
        ("[providers.p]\n", {}, f"c.toml:{AT}: providers.p.kind: is missing"),
        (
            "[providers.p]\nkind = 'openai'\nbase_url = 'api.x'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.base_url: expected",
        ),
        (
            "[providers.p]\nkind = 'openai'\nbase_url = 'https://me:pw-canary@x/v1'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.base_url: must hold no user, password",
        ),
        (
            "[providers.p]\nkind = 'openai'\nbase_url = 'https://x/v1/chat/completions'\n",
            {},
            f'c.toml:{AT + 2}: providers.p.base_url: leave out "/chat/completions"',
        ),
        ("[providers.p]\nkind = 'openai'\napi_key = 'sk-canary'\n", {}, f"c.toml:{AT + 2}: providers.p.api_key: holds"),
        (
            "[providers.p]\nkind = 'openai'\napi_key = '${K:-sk-canary}'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.api_key: holds a key in plain text",
        ),
        (
            "[providers.p]\nkind = 'openai'\napi_key = '${K}'\n",
            {"K": "canary\n\u20ac"},
            f"c.toml:{AT + 2}: providers.p.api_key: holds a character",
        ),
        (
            "[providers.p]\nkind = 'openai'\napi_key = '${file:nope}'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.api_key: cannot read file nope: No such file",
        ),
        (
            "[providers.p]\nkind = 'vllm'\nheaders = { Authorization = 'canary' }\n",
            {},
            f"c.toml:{AT + 2}: providers.p.headers.Authorization: holds a key in plain text",
        ),
        (
            "[providers.p]\nkind = 'vllm'\nheaders = { 'a b' = 'c' }\n",
            {},
            f'c.toml:{AT + 2}: providers.p.headers."a b": is not a valid header name',
        ),
        (
            "[providers.p]\nkind = 'vllm'\nheaders = { Content-Length = '3' }\n",
            {},
            f"c.toml:{AT + 2}: providers.p.headers.Content-Length: is set by the HTTP client",
        ),
        (
            "[providers.p]\nkind = 'vllm'\nsimulation = {}\n",
            {},
            f"c.toml:{AT + 2}: providers.p.simulation: only a prov",
        ),
        (
            "[providers.p]\nkind = 'simulated'\nsimulation = { script = 'x' }\n",
            {},
            f"c.toml:{AT + 2}: providers.p.simulation.script: there is no such file",
        ),
        (
            "[providers.p]\nkind = 'simulated'\nbase_url = 'http://127.0.0.1:1'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.base_url: a simulated provider has no address of its own",
        ),
        (
            "[providers.p]\nkind = 'azure_openai'\nbase_url = 'https://RESOURCE.openai.azure.com/openai/v1'\n",
            {},
            f"c.toml:{AT + 2}: providers.p.base_url: put your own resource in place of RESOURCE",
        ),
        ("[server]\nlisten = 'here'\n", {}, f'c.toml:{AT + 1}: server.listen: expected "HOST:PORT"'),
        ("[server]\nlisten = 'a:70000'\n", {}, f'c.toml:{AT + 1}: server.listen: expected "HOST:PORT"'),
        (
            "[server]\nlisten = '0.0.0.0:80'\n",
            {},
            f"c.toml:{AT + 1}: server.listen: listening on 0.0.0.0 lets in every",
        ),
        ("[server]\napi_keys = ['canary']\n", {}, f"c.toml:{AT + 1}: server.api_keys[0]: holds a key in plain text"),
        ("[server]\napi_keys = ['${K}']\n", {"K": ""}, f"c.toml:{AT + 1}: server.api_keys[0]: is empty"),
        ("[server]\napi_keys = ['${K}']\n", {}, f"c.toml:{AT + 1}: server.api_keys[0]: variable K is not set; set it"),
        ("[server]\napi_keys = 'canary'\n", {}, f"c.toml:{AT + 1}: server.api_keys: expected an array, found a string"),
        ("[server]\ncors_origins = ['x']\n", {}, f'c.toml:{AT + 1}: server.cors_origins[0]: expected "*" or an origin'),
        ("[server]\nlisten = '${L'\n", {}, f"c.toml:{AT + 1}: server.listen: `${{` without a closing"),
        ("steering = 'balancd'\n", {}, f"c.toml:{AT}: routes.chat.steering: \"balancd\" is not one of 'preferred'"),
        ("latency_class = 'urgent'\n", {}, f"c.toml:{AT}: routes.chat.latency_class: \"urgent\" is not one of 'batch'"),
        ("midstream = 'stop'\n", {}, f"c.toml:{AT}: routes.chat.midstream: \"stop\" is not one of 'continue'"),
        ("race_width = 5\n", {}, f"c.toml:{AT}: routes.chat.race_width: 5 is too large; the most is 4"),
        ("race_width = 1\n", {}, f"c.toml:{AT}: routes.chat.race_width: 1 is too small; the least is 2"),
        ("[health]\nslo_factor = 1\n", {}, f"c.toml:{AT + 1}: health.slo_factor: 1 is too small; the least is 1.2"),
        (
            "[health]\nfalse_steers_per_hour = 0\n",
            {},
            f"c.toml:{AT + 1}: health.false_steers_per_hour: 0 is too small; the least is 0.01",
        ),
        ("[health]\nprobe_silence_s = 0.5\n", {}, f"c.toml:{AT + 1}: health.probe_silence_s: 0.5 is too small"),
        ("[health]\nprobe_budget_usd_per_day = 101\n", {}, f"c.toml:{AT + 1}: health.probe_budget_usd_per_day: 101 is"),
        ("[health]\nis_probing = 'maybe'\n", {}, f"c.toml:{AT + 1}: health.is_probing: expected true or false, fou"),
        ("[health]\nhedge_spend = { batch = 2 }\n", {}, f"c.toml:{AT + 1}: health.hedge_spend.batch: 2 is too large"),
        ("[health]\nhedge_spend = { bulk = 0 }\n", {}, f'c.toml:{AT + 1}: health.hedge_spend.bulk: unknown key "bulk"'),
        ("[log]\nlevel = 'inf'\n", {}, f"c.toml:{AT + 1}: log.level: \"inf\" is not one of 'debug', 'info'"),
    ],
)
def test_every_mistake_has_its_line_path_and_remedy(
    problems: Problems, text: str, environ: dict[str, str], expected: str
) -> None:
    """One mistake is one problem, at the exact line, and no text that could be a secret is repeated."""
    found = problems(text, environ)
    assert len(found) == 1, found
    assert found[0].startswith(expected)
    assert "canary" not in found[0]


def test_everything_is_reported_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    """A mistake in one table hides none in another."""
    found = problems(
        'version = 2\n[server]\nkepalive_s = 1\n[upstreams.a]\nprovider = "nope"\n[routes.r]\nupstreams = ["b"]\n'
        "[extra]\nx = 1\n"
    )
    assert [problem.split(":")[1] for problem in found] == ["1", "3", "4", "5", "7", "8"]


def test_version_is_required(problems: Problems) -> None:
    """A later format must be recognisable."""
    found = problems(BASE.replace("version = 1", "# no version"))
    assert found == ["c.toml: version: is missing; add version = 1 at the top"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing and binary files are told by name."""
    with pytest.raises(ConfigError, match=r"nope\.toml: cannot be read: No such file"):
        load_config(tmp_path / "nope.toml", environ={})
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(tmp_path / "b.toml", environ={})


def test_a_provider_without_its_key_is_disabled_with_what_depends_on_it(load: Load) -> None:
    """A missing key is no error: the reason names the variable, and goes down to upstreams and routes."""
    config = load(
        '[providers.p]\nkind = "openai"\napi_key = "${MY_KEY}"\n'
        '[upstreams.x]\nprovider = "p"\nmodel = "m"\n'
        '[routes.only]\nupstreams = ["x"]\n[routes.both]\nupstreams = ["x", "one"]\n'
    )
    assert {(off.kind, off.name) for off in config.disabled} == {
        ("provider", "p"),
        ("upstream", "x"),
        ("route", "only"),
    }
    assert all("set MY_KEY" in off.reason for off in config.disabled)
    assert config.routes["both"].upstreams == ("one",)
    assert "only" not in config.routes


def test_an_empty_variable_disables_too(load: Load) -> None:
    """Compose files pass unset variables on as empty ones."""
    config = load('[providers.p]\nkind = "openai"\napi_key = "${MY_KEY}"\n', {"MY_KEY": " "})
    assert [off.reason for off in config.disabled] == ["${MY_KEY} is empty; set it to enable this provider"]


def test_the_usual_variable_is_read_but_never_for_another_address(load: Load) -> None:
    """`api_key` may be left out; a key of OpenAI's must not go to a host that only speaks its format."""
    text = '[providers.p]\nkind = "openai"\n[providers.q]\nkind = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n'
    config = load(text, {"OPENAI_API_KEY": "sk-1"})
    assert config.providers[ProviderName("p")].api_key == "sk-1"
    assert [off.name for off in config.disabled] == ["q"]


def test_placeholder_keys_may_stand_in_the_file(load: Load) -> None:
    """Local servers ask for any text at all."""
    config = load('[providers.p]\nkind = "lm_studio"\napi_key = "lm-studio"\n')
    assert config.providers[ProviderName("p")].api_key == "lm-studio"


def test_preset_gives_address_auth_quirks_and_continuation(load: Load) -> None:
    """What the table does not say is the preset's, and the table has the last word."""
    config = load(
        '[providers.m]\nkind = "mistral"\napi_key = "${K}"\nquirks = { bills_cancelled_streams = false }\n'
        '[providers.az]\nkind = "azure_openai"\nbase_url = "https://me.openai.azure.com/openai/v1"\napi_key = "${K}"\n'
        '[upstreams.x]\nprovider = "m"\nmodel = "a"\n[upstreams.y]\nprovider = "az"\nmodel = "b"\n',
        {"K": "secret"},
    )
    mistral, azure = config.providers[ProviderName("m")], config.providers[ProviderName("az")]
    assert mistral.base_url == "https://api.mistral.ai/v1"
    assert mistral.quirks.usage_on_stream == "always"
    assert mistral.quirks.bills_cancelled_streams is False
    assert azure.auth == "api-key"
    assert config.upstreams[UpstreamId("x")].capabilities.continuation == "prefix"
    assert config.upstreams[UpstreamId("x")].credential == CredentialId("m")
    assert config.upstreams[UpstreamId("y")].credential == CredentialId("az/b")


def test_billing_of_cancelled_streams_follows_the_provider(load: Load) -> None:
    """What an upstream does not say is its provider's quirk, the table's over the preset's."""
    config = load(
        '[providers.g]\nkind = "groq"\napi_key = "${K}"\n'
        '[providers.h]\nkind = "groq"\napi_key = "${K}"\nquirks = { bills_cancelled_streams = false }\n'
        '[upstreams.preset]\nprovider = "g"\nmodel = "a"\n'
        '[upstreams.said]\nprovider = "g"\nmodel = "a"\ncapabilities = { bills_cancelled_streams = false }\n'
        '[upstreams.quirk]\nprovider = "h"\nmodel = "b"\n',
        {"K": "secret"},
    )
    bills = {name: upstream.capabilities.bills_cancelled_streams for name, upstream in config.upstreams.items()}
    assert bills == {"one": None, "preset": True, "said": False, "quirk": False}
    path = "upstreams.{}.capabilities.bills_cancelled_streams"
    assert str(config.sources[path.format("preset")]) == "preset groq"
    assert str(config.sources[path.format("quirk")]).startswith("c.toml:")


def test_health_and_how_a_route_is_served(load: Load) -> None:
    """Tables become options; what a table leaves out keeps its default."""
    config = load(
        "plan = 'race'\nrace_width = 3\nsteering = 'balanced'\nlatency_class = 'batch'\nmidstream = 'error'\n"
        "[health]\nslo_factor = 3\nis_probing = false\nhedge_spend = { standard = 0.1 }\n"
    )
    route = config.routes["chat"]
    assert (route.plan, route.race_width, route.steering) == ("race", 3, "balanced")
    assert (route.latency_class, route.midstream) == ("batch", "error")
    assert config.health == HealthOptions(slo_factor=3, is_probing=False, hedge_spend={**HEDGE_SPEND, "standard": 0.1})
    assert load().health == HealthOptions()


def test_simulated_upstreams_leave_a_route_that_has_a_real_one(load: Load) -> None:
    """A made-up answer never stands in for a real one; where all are made up, they stay."""
    text = (
        '[providers.s]\nkind = "simulated"\n[upstreams.sim]\nprovider = "s"\nmodel = "m"\n'
        '[upstreams.sim2]\nprovider = "s"\nmodel = "n"\n'
        '[routes.mixed]\nupstreams = ["sim2", "sim", "one"]\n'
    )
    config = load(text + '[routes.demo]\nupstreams = ["sim"]\n')
    assert config.routes["mixed"].upstreams == ("one",)
    assert config.routes["demo"].upstreams == ("sim",)
    assert config.is_simulated
    assert {off.name for off in config.disabled} == {"sim", "sim2"}
    assert UpstreamId("sim") in config.upstreams
    assert UpstreamId("sim2") not in config.upstreams
    alone = load(text)
    assert not alone.is_simulated
    assert ProviderName("s") not in alone.providers


def test_deadline_defaults_give_way_to_a_shorter_total(load: Load) -> None:
    """Whoever sets `total_s` alone need not know the other limits."""
    config = load("deadlines = { total_s = 4 }\n")
    deadlines = config.routes["chat"].deadlines
    assert (deadlines.total_s, deadlines.answer_s, deadlines.first_token_s, deadlines.connect_s) == (4, 4, 4, 2)
    assert str(config.sources["routes.chat.deadlines.answer_s"]) == "lowered to total_s"


def test_tables_must_be_tables(problems: Problems) -> None:
    """A value where tables of that kind belong is told once."""
    found = problems('version = 1\nroutes = 3\n[upstreams]\nx = "m"\n')
    assert found == [
        "c.toml:2: routes: expected tables such as [routes.NAME]",
        "c.toml:4: upstreams.x: expected a table, found a string",
    ]


def test_any_origin_may_be_allowed(load: Load) -> None:
    """`*` and full origins."""
    config = load('[server]\ncors_origins = ["*", "http://localhost:3000"]\n')
    assert config.server.cors_origins == ("*", "http://localhost:3000")


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("localhost:80", "localhost", 80), ("[::1]:8700", "::1", 8700)],
)
def test_loopback_may_be_open(load: Load, listen: str, host: str, port: int) -> None:
    """On one's own machine no key is asked for."""
    config = load(f"[server]\nlisten = '{listen}'\n")
    assert (config.server.host, config.server.port) == (host, port)


def test_an_open_address_is_refused_with_the_line_that_fixes_it(problems: Problems) -> None:
    """Copying what the message says is enough; a host name counts as reachable, and so does a typo in a number."""
    for host in ("0.0.0.0", "[::]", "sidecar.local", "127.0.0"):  # noqa: S104 - that it is refused is the point
        found = problems(f"[server]\nlisten = '{host}:80'\n")
        assert len(found) == 1
        assert 'add under [server]: api_keys = ["${STREAMROUTE_API_KEY}"] (or listen on 127.0.0.1)' in found[0]


def test_with_keys_it_may_listen_anywhere(load: Load) -> None:
    """The fix that the error message prints works."""
    text = '[server]\nlisten = "0.0.0.0:80"\napi_keys = ["${STREAMROUTE_API_KEY}"]\n'
    config = load(text, {"STREAMROUTE_API_KEY": "k1"})
    assert config.server.api_keys == ("k1",)


def test_numbers_may_come_through_references(load: Load) -> None:
    """References give text; where a number is expected, it is read as one, and never shown when it is not."""
    assert load('[server]\nkeepalive_s = "${KA:-15}"\n').server.keepalive_s == 15


def test_default_path_prefers_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`./config.toml`, else the shipped file."""
    monkeypatch.chdir(tmp_path)
    assert default_config_path().is_absolute()
    (tmp_path / "config.toml").write_text(BASE)
    assert default_config_path() == Path("config.toml")
    assert load_config(None, environ={}).file == Path("config.toml")


def test_json_schema_knows_every_table() -> None:
    """Editors can check the file too."""
    schema = config_json_schema()
    assert set(schema["properties"]) == {
        "version", "server", "log", "health", "ledger", "prices", "price_feeds", "budgets", "providers", "upstreams",
        "routes", "routing",
    }  # fmt: skip
    assert schema["additionalProperties"] is False


def test_tiers_name_upstreams_that_there_are(problems: Problems) -> None:
    """As `upstreams` does: a name that nobody has is not taken for one that is disabled."""
    [found] = problems('[routes.two]\ntiers = [["one"], ["lagre"]]\n', {})
    assert 'routes.two.tiers[1][0]: there is no upstream "lagre"' in found


@pytest.mark.parametrize(
    ("text", "steps", "of_code", "shown"),
    [
        ("accept_at = 0.7\n", (0.7,), 0.7, "0.7"),
        ("accept_at = [0.9, 0.95]\n", (0.9, 0.95), 0.9, "0.9, 0.95"),
        ("[routes.chat.accept_at]\ndefault = 0.6\ncode = [0.8, 0.9]\n", (0.6,), 0.8, "0.6; code 0.8, 0.9"),
        ("[routes.chat.accept_at]\ncode = 1\n", (0.5,), 1.0, "0.5; code 1"),
    ],
)
def test_thresholds(load: Load, text: str, steps: tuple[float, ...], of_code: float, shown: str) -> None:
    """A number for all, a list by tier, a table by task; `check` shows them in one line, with where they stand."""
    config = load(text)
    accept_at = config.routes["chat"].accept_at
    assert (accept_at.by_tier, accept_at.of(0, "code")) == (steps, of_code)
    [setting] = [each for each in effective(config) if each.path == "routes.chat.accept_at"]
    assert (setting.value, setting.source.where) == (shown, "file")


@pytest.mark.parametrize("text", ["2", "[]", "true", '"high"', "[0.9, -1]", "{ code = 1.5 }", "{ code = [] }"])
def test_thresholds_are_scores(problems: Problems, text: str) -> None:
    """Of any shape, between 0 and 1."""
    [found] = problems(f"accept_at = {text}\n")
    assert found.startswith(f"c.toml:{AT}: routes.chat.accept_at: expected a number 0..1, a list of them by tier")


def test_who_is_asked_what_an_answer_is_worth(load: Load) -> None:
    """One list for all tiers, or one by tier."""
    tiers = (
        'version = 1\n[providers.lab]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9001/v1/"\n'
        + "".join(f'[upstreams.{name}]\nprovider = "lab"\nmodel = "{name}"\n' for name in ("a", "b", "c"))
    )
    tiers += '[routes.chat]\ntiers = [["a"], ["b"], ["c"]]\nagree_with = "b"\njudge = "c"\n'
    a, b = UpstreamId("a"), UpstreamId("b")
    route = load(f'{tiers}assess = ["agreement"]\n').routes["chat"]
    assert (route.assessors(a), route.assessors(b), route.agree_with) == (("agreement",), ("agreement",), b)
    route = load(f'{tiers}assess = [[], ["agreement", "judge"]]\n').routes["chat"]
    assert (route.assessors(a), route.assessors(b), route.judge) == ((), ("agreement", "judge"), UpstreamId("c"))
    audited = tiers + "audit = { share = 0.03, max_usd_per_day = 1 }\n"
    assert load(audited).warnings == {}
    (warned,) = load(audited.replace('judge = "c"\n', "")).warnings.values()
    assert "has an `audit` and no `judge`" in warned
    assert load(tiers).routes["chat"].assessors(a) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('tiers = [["one"]]\nassess = ["agreement"]\n', 'assess: "agreement" needs somebody to ask; add agree_with ='),
        ('tiers = [["one"]]\nassess = ["jury"]\n', "assess[0][0]: \"jury\" is not one of 'agreement' or 'judge'"),
        ('upstreams = ["one"]\nassess = ["judge"]\njudge = "one"\n', "there is nothing to assess without `tiers`"),
        ('tiers = [["one"]]\njudge = "oen"\n', 'judge: there is no upstream "oen"; did you mean "one"?'),
    ],
)
def test_assessors_that_nobody_could_be(problems: Problems, text: str, expected: str) -> None:
    """Said with the remedy."""
    assert any(expected in found for found in problems(f"[routes.two]\n{text}"))


CLAUDE = """\
version = 1
[providers.anthropic]
kind = "anthropic"
api_key = "${{KEY}}"
{more}
[upstreams.claude]
provider = "anthropic"
model = "claude-1"
capabilities = {{ {capabilities} }}
[routes.chat]
upstreams = ["claude"]
"""


def test_a_wire_format_brings_its_own_address_and_key_header(load: Load) -> None:
    """The preset's, unless another format of the same provider is chosen."""
    key = {"KEY": "sk-ant-123456789"}
    [own] = load(CLAUDE.format(more="", capabilities=""), key).providers.values()
    assert (own.wire_format, own.chat_path, own.auth) == ("anthropic_messages", "/messages", "x-api-key")
    [other] = load(CLAUDE.format(more='wire_format = "openai_chat"', capabilities=""), key).providers.values()
    assert (other.wire_format, other.chat_path, other.auth) == ("openai_chat", "/chat/completions", "bearer")


@pytest.mark.parametrize(
    ("more", "capabilities", "complaint"),
    [
        ("", "logprobs = true", 'the wire format "anthropic_messages" has no place for them'),
        ("", 'reasoning = "budge"', 'did you mean "budget"?'),
        ('wire_format = "anthropic"', "", 'did you mean "anthropic_messages"?'),
        ('base_url = "https://api.anthropic.com/v1/messages"', "", 'leave out "/messages"'),
        ("quirks = { default_max_tokens = 0 }", "", "default_max_tokens"),
    ],
)
def test_what_a_wire_format_has_no_place_for(problems: Problems, more: str, capabilities: str, complaint: str) -> None:
    found = problems(CLAUDE.format(more=more, capabilities=capabilities), {"KEY": "sk-ant-123456789"})
    assert len(found) == 1
    assert complaint in found[0]


def test_an_unknown_key_hides_no_other_mistake(problems: Problems) -> None:
    """One run tells all, also what is only found once a table can be read."""
    found = problems(
        BASE
        + """
[routes.other]
colour = 1
upstreams = ["one", "one"]
audit = { colour = 1 }
deadlines = { head_s = 3, stall_s = 400 }
"""
    )
    told = [each.partition("routes.other.")[2].partition(":")[0] for each in found]
    assert sorted(told) == ["audit", "audit.colour", "colour", "deadlines.head_s", "deadlines.stall_s", "upstreams[1]"]
