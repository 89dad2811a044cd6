"""What a file comes to."""

from decimal import Decimal
from pathlib import Path

import pytest

from streamroute.config.explain import effective
from streamroute.config.load import default_config_path, load_config
from streamroute.config.schema import config_json_schema
from streamroute.core.health.options import HEDGE_SPEND, HealthOptions
from streamroute.core.upstream import CredentialId, ProviderName, UpstreamId
from tests.config.conftest import AT, BASE, Load, Problems


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
