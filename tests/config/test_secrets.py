"""A secret leaves the configuration only in the field that sends it."""

import dataclasses
import json
import traceback
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamroute.config.explain import effective
from streamroute.config.load import load_config
from streamroute.errors import ConfigError
from tests.config.conftest import BASE, Load
from tests.config.test_check import APP

CANARY = "sk-canary-7f3a"
SECRETIVE = (
    '[providers.p]\nkind = "openai"\napi_key = "${K}"\nheaders = { X-Extra = "a ${K}", X-Title = "${file:secret}" }\n'
    '[providers.q]\nkind = "openai"\n'
    '[upstreams.x]\nprovider = "p"\nmodel = "${OTHER_TOKEN}"\n'
    '[server]\napi_keys = ["${K}", "${file:secret}"]\n'
)
ENVIRON = {"K": CANARY, "OPENAI_API_KEY": CANARY, "OTHER_TOKEN": CANARY}


def test_neither_repr_nor_explanation_shows_a_secret(load: Load, tmp_path: Path) -> None:
    """Not in `repr`, not in effective values, not in sources; also not where a key was put by mistake."""
    (tmp_path / "secret").write_text(CANARY + "\n")
    config = load(SECRETIVE, ENVIRON)
    assert CANARY in str(dataclasses.asdict(config.providers[next(name for name in config.providers if name == "p")]))
    shown = {setting.path: setting.value for setting in effective(config)}
    shown_upstream = shown.pop("upstreams.x.model")
    assert shown_upstream == "(set, from ${OTHER_TOKEN})"
    assert CANARY not in str(shown)
    assert CANARY not in repr((config.providers, config.server, config.sources, config.disabled))
    assert shown["providers.p.api_key"] == "(set, from ${K})"
    assert shown["providers.q.api_key"] == "(set, from ${OPENAI_API_KEY})"
    assert shown["server.api_keys"] == "(set, from ${K}, ${file:secret})"
    assert shown["providers.lab.api_key"] == "-"


@pytest.mark.parametrize(
    "text",
    [
        f'[providers.p]\nkind = "openai"\napi_key = "{CANARY}"\n',
        f'[providers.p]\nkind = "openai"\napi_key = {{ x = "{CANARY}" }}\n',
        f'[providers.p]\nkind = "openai"\napi_keey = "{CANARY}"\n',
        f'[providers.p]\nkind = "openai"\napi_key = ["{CANARY}"]\n',
        f'[providers.p]\nkind = 3\napi_key = "{CANARY}"\n',
        f'[providers.p]\nkind = "openai"\nheaders = "{CANARY}"\n',
        f'[providers.p]\nkind = "openai"\nheaders = {{ Authorization = ["{CANARY}"] }}\n',
        f'[providers.p]\nkind = "openai"\nbase_url = "https://u:{CANARY}@h/v1"\n',
        f'[providers.p]\nkind = "openai"\nbase_url = "https://[{CANARY}"\n',
        f'p = "{CANARY}"\n',
        f'[server]\napi_keys = ["{CANARY}", 3]\n',
        f'[server]\napi_keys = "{CANARY}"\n',
        f'[server]\nkeepalive_s = "{CANARY}"\n',
        '[server]\nlisten = "${K}"\nkeepalive_s = "${K}"\n',
        '[log]\nlevel = "${K}"\n',
        '[providers.p]\nkind = "${K}"\n',
        '[upstreams.x]\nprovider = "${K}"\nmodel = "m"\n',
        '[routes.x]\nupstreams = ["${K}"]\n',
        f'[providers.p]\nkind = "openai"\napi_key = "{CANARY}"\nx = \n',
    ],
)
def test_no_error_repeats_a_secret(load: Load, text: str) -> None:
    """Whatever is wrong around a key, neither message, traceback nor chained exception shows it."""
    with pytest.raises(ConfigError) as caught:
        load(text, ENVIRON)
    printed = "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value.problems)
    assert CANARY not in printed
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_check_prints_no_secret(tmp_path: Path) -> None:
    """Neither as lines nor as JSON."""
    file = tmp_path / "c.toml"
    (tmp_path / "secret").write_text(CANARY)
    file.write_text(BASE + SECRETIVE)
    for extra in ([], ["--json"]):
        result = CliRunner().invoke(APP, ["--config", str(file), *extra], env=ENVIRON)
        assert result.exit_code == 0, result.output
        assert CANARY not in result.output
    assert "(set, from ${K})" in str(json.loads(result.output)["settings"])


def test_loaded_secret_is_the_real_one(tmp_path: Path) -> None:
    """It is hidden, not lost."""
    file = tmp_path / "c.toml"
    (tmp_path / "secret").write_text(CANARY + "\n")
    file.write_text(BASE + SECRETIVE)
    config = load_config(file, environ=ENVIRON)
    assert config.server.api_keys == (CANARY, CANARY)
    assert [provider.headers.get("X-Extra") for provider in config.providers.values()] == [None, f"a {CANARY}", None]
