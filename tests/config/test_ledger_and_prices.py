"""`[ledger]` and `[[prices]]`: what they come to, and what is wrong with them."""

from decimal import Decimal
from pathlib import Path

import pytest

from streamroute.config.explain import effective
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.core.upstream import UpstreamId
from streamroute.errors import ConfigError

BASE = """version = 1
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9001/v1"
[upstreams.mini]
provider = "lab"
model = "m-1"
"""


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "config.toml"
    file.write_text(BASE + text)
    return load_config(file, environ=environ)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, text, HOME="/h")
    return [str(problem).removeprefix(f"{folder}/") for problem in raised.value.problems]


def test_the_ledger_is_where_programs_keep_their_state(tmp_path: Path) -> None:
    """By the XDG base directory specification; without a home there is none, rather than a surprise."""
    assert load(tmp_path, "", HOME="/h").ledger.url == "sqlite:////h/.local/state/streamroute/ledger.db"
    ledger = load(tmp_path, "", HOME="/h", XDG_STATE_HOME="/s").ledger
    assert (ledger.url, ledger.spool_dir) == ("sqlite:////s/streamroute/ledger.db", Path("/s/streamroute"))
    assert load(tmp_path, "").ledger.url is None
    assert load(tmp_path, '[ledger]\nurl = "off"', HOME="/h").ledger.url is None


def test_paths_start_from_the_configuration(tmp_path: Path) -> None:
    """Like all others in the file; the spool lies beside the database unless told otherwise."""
    ledger = load(tmp_path, '[ledger]\nurl = "sqlite:///costs.db"\nflush_interval_s = 0').ledger
    assert (ledger.url, ledger.spool_dir) == (f"sqlite:///{tmp_path}/costs.db", tmp_path)
    assert ledger.flush_interval_s == 0
    assert load(tmp_path, '[ledger]\nurl = "sqlite:///a/b.db"\nspool_dir = "c"').ledger.spool_dir == tmp_path / "c"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """Neither by `check` nor by `repr`."""
    pytest.importorskip("psycopg")
    config = load(tmp_path, '[ledger]\nurl = "postgresql://me:s3cr@t@db/costs"', HOME="/h")
    shown = {setting.path: setting.value for setting in effective(config)}
    assert shown["ledger.url"] == "postgresql+psycopg://me:***@db/costs"
    assert "s3cr" not in repr(config.ledger)


def test_price_lines_are_read_and_shown(tmp_path: Path) -> None:
    """With dates as TOML writes them."""
    config = load(
        tmp_path,
        '[[prices]]\nupstream = "mini"\ntier = "flex"\nsince = 2026-11-01\n'
        "input_per_mtok = 0.375\noutput_per_mtok = 2\n"
        '[[prices]]\nprovider = "lab"\nmodel = "m-2"\nhours_utc = "16:30-00:30"\nsince = 2026-11-01T02:00:00+02:00\n'
        "input_per_mtok = 1\noutput_per_mtok = 2\nper_request = 0.01\n",
    )
    first, second = config.prices
    assert (first.subject, first.tier, first.since_ms) == ("mini", "flex", 1_793_491_200_000)
    assert first.price.input_per_mtok == Decimal("0.375")
    assert (second.subject, second.hours, second.since_ms) == (("lab", "m-2"), (990, 30), 1_793_491_200_000)
    shown = {setting.path: str(setting.value) for setting in effective(config)}
    assert shown["prices[0]"] == "mini flex since 2026-11-01T00:00:00.000Z: input 0.375, output 2"
    assert shown["prices[1]"].startswith("lab/m-2 standard since 2026-11-01T00:00:00.000Z 16:30-00:30: input 1,")


def test_long_prompts_and_images_have_prices(tmp_path: Path) -> None:
    """Both forms of a price take them; what is paid beside tokens is the same for prompts of any length."""
    config = load(
        tmp_path,
        "price = { input_per_mtok = 1, output_per_mtok = 2, per_image = 0.003, cache_write_1h_per_mtok = 2, "
        "long_context = [{ above_tokens = 400_000, input_per_mtok = 4, output_per_mtok = 8 }, "
        "{ above_tokens = 200_000, input_per_mtok = 2, output_per_mtok = 4 }] }",
    )
    price = config.upstreams[UpstreamId("mini")].price
    assert price is not None
    assert [each.above_tokens for each in price.long_context] == [200_000, 400_000]
    assert price.long_context[1].price.input_per_mtok == 4
    assert price.long_context[1].price.per_image == price.per_image == Decimal("0.003")
    shown = {setting.path: str(setting.value) for setting in effective(config)}
    assert shown["upstreams.mini.price.long_context[0].above_tokens"] == "200000"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[ledger]\nurl = "mysql://x"', "config.toml:9: ledger.url: expected"),
        ("[ledger]\nflush_interval_s = 2", "config.toml:9: ledger.flush_interval_s: 2 is too large; the most is 1"),
        ('[[prices]]\nupstream = "mimi"\n', 'config.toml:9: prices[0].upstream: there is no upstream "mimi"'),
        ('[[prices]]\nprovider = "lab"\n', "config.toml:8: prices[0]: needs either upstream, or provider and model"),
        ("[[prices]]\nsince = 2026\n", "config.toml:9: prices[0].since: expected a date such as 2026-11-01"),
        ("[[prices]]\nsince = 2026-11-01T00:00:00\n", "config.toml:9: prices[0].since: expected a date such"),
        ('[[prices]]\nhours_utc = "25:00-1:00"\n', "config.toml:9: prices[0].hours_utc: expected hours of the day"),
        ("[prices]\n", "config.toml:8: prices: expected tables such as [[prices]]"),
        (
            "price = { input_per_mtok = 0.0000001, output_per_mtok = 1 }",
            "config.toml:8: upstreams.mini.price.input_per_mtok: 1E-7 has too many decimals; the most are 6",
        ),
    ],
)
def test_mistakes_have_their_line(tmp_path: Path, text: str, problem: str) -> None:
    """As all others in the file."""
    if "[[prices]]" in text:
        text += (
            ""
            if "since = 2026\n" in text or "T00" in text or "hours" in text
            else "input_per_mtok = 1\noutput_per_mtok = 1\n"
        )
    found = problems(tmp_path, text)
    assert any(each.startswith(problem) for each in found), found
