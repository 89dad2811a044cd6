"""`streamroute check` as a person or a script sees it."""

import json
import os
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streamroute.cli import check as command
from streamroute.cli.check import check
from streamroute.config.load import load_config
from streamroute.stores.keys import KeyStore, new_key, new_secret
from tests.config.conftest import BASE

APP = typer.Typer()
APP.command()(check)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small valid file; the environment sets nothing of ours."""
    for name in [name for name in os.environ if name.startswith("STREAMROUTE__")]:
        monkeypatch.delenv(name)
    path = tmp_path / "c.toml"
    path.write_text(BASE)
    return path


def test_a_valid_file_is_listed_line_by_line(file: Path) -> None:
    """Exit 0; where no terminal is, one setting a line with its source, for grep."""
    result = CliRunner().invoke(APP, ["--config", str(file)])
    assert result.exit_code == 0
    assert "providers.lab.base_url = http://127.0.0.1:9001/v1  (c.toml:4)" in result.stdout
    assert "server.listen = 127.0.0.1:8700  (default)" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("is valid; routes: chat.")


def test_without_routes_it_says_what_auto_is(file: Path) -> None:
    """Clients can ask for `auto` all the same."""
    file.write_text(BASE.partition("[routes")[0])
    result = CliRunner().invoke(APP, ["--config", str(file)])
    assert result.stdout.splitlines()[-1].endswith("is valid; routes: none; `auto` chooses among one.")


def test_json_has_settings_and_disabled(file: Path) -> None:
    """The same as one object."""
    file.write_text(BASE + '[providers.p]\nkind = "groq"\napi_key = "${NOPE_KEY}"\n')
    document = json.loads(CliRunner().invoke(APP, ["--config", str(file), "--json"]).stdout)
    assert document["valid"] is True
    assert document["disabled"] == [{"kind": "provider", "name": "p", "reason": "set NOPE_KEY to enable it"}]
    assert {"path": "routes.chat.plan", "value": "hedge", "where": "default", "source": "default"} in document[
        "settings"
    ]


def test_an_invalid_file_exits_78_with_all_problems_on_stderr(file: Path) -> None:
    """78 is EX_CONFIG; nothing but problems is printed."""
    file.write_text(BASE + "[sever]\n[lgo]\n")
    result = CliRunner().invoke(APP, ["--config", str(file)])
    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr.count("unknown key") == 2
    assert "2 problems found" in result.stderr
    as_json = CliRunner().invoke(APP, ["--config", str(file), "--json"])
    assert as_json.exit_code == 78
    assert [problem["line"] for problem in json.loads(as_json.stdout)["problems"]] == [10, 11]


def test_an_open_address_wants_a_key_of_the_store(file: Path, tmp_path: Path) -> None:
    """As `serve` does: a live one is enough."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    file.write_text(f'{BASE}[server]\nlisten = "0.0.0.0:80"\n[ledger]\nurl = "{url}"\n')
    result = CliRunner().invoke(APP, ["--config", str(file)])
    assert result.exit_code == 78
    assert "server.listen: listening on 0.0.0.0 lets in everyone" in result.stderr
    with closing(KeyStore(url)) as store:
        store.create(new_key("app", new_secret(), now_ms=0))
        assert CliRunner().invoke(APP, ["--config", str(file)]).exit_code == 0
        store.revoke("app", now_ms=1)
    assert CliRunner().invoke(APP, ["--config", str(file)]).exit_code == 78


def test_on_a_terminal_it_is_a_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same facts, laid out for eyes."""
    file.write_text(BASE + '[providers.p]\nkind = "groq"\napi_key = "${NOPE_KEY}"\n')
    command._print_tables(load_config(file, environ={}))
    printed = capsys.readouterr().out
    assert "providers.lab.base_url" in printed
    assert "NOPE_KEY" in printed
