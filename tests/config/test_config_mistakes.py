"""What is said of a file with mistakes: each with its line, its path and what to do about it."""

from pathlib import Path

import pytest

from streamroute.config.load import load_config
from streamroute.errors import ConfigError
from tests.config.conftest import AT, BASE, Problems


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


def test_tables_must_be_tables(problems: Problems) -> None:
    """A value where tables of that kind belong is told once."""
    found = problems('version = 1\nroutes = 3\n[upstreams]\nx = "m"\n')
    assert found == [
        "c.toml:2: routes: expected tables such as [routes.NAME]",
        "c.toml:4: upstreams.x: expected a table, found a string",
    ]


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
