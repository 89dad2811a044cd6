"""Whose prices of the public list count for a provider."""

import sys
from pathlib import Path

import pytest

from streamroute.config.load import load_config
from streamroute.config.prices import price_book
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.errors import ConfigError

pytest.importorskip("genai_prices")

LAB, MINI = ProviderName("lab"), UpstreamId("mini")
AT_MS = 1_795_608_000_000


def written(folder: Path, provider: str, upstream: str = "") -> Path:
    file = folder / "config.toml"
    file.write_text(
        f'version = 1\n[providers.lab]\napi_key = "${{KEY}}"\n{provider}\n'
        f'[upstreams.mini]\nprovider = "lab"\nmodel = "gpt-4o"\n{upstream}\n'
    )
    return file


@pytest.mark.parametrize(
    ("provider", "found"),
    [
        ('kind = "openai"', "openai"),
        ('kind = "openai"\nbase_url = "https://eu.llm.example.com/v1"', None),
        ('kind = "openai"\nbase_url = "https://eu.llm.example.com/v1"\nprice_list = "openai"', "openai"),
        ('kind = "openai"\nprice_list = "off"', None),
        ('kind = "azure_openai"\nbase_url = "https://gateway.example.com/openai/v1"', "azure"),
        ('kind = "openai_compatible"\nbase_url = "https://api.novita.ai/v3/openai"', "novita"),
        ('kind = "vllm"', None),
    ],
)
def test_who_is_paid_decides(tmp_path: Path, provider: str, found: str | None) -> None:
    """As told, else by address, else by kind; behind another address there may be anything."""
    config = load_config(written(tmp_path, provider), environ={"KEY": "sk-1234567890"})
    assert config.providers[LAB].price_list == found


def test_an_unknown_list_is_an_error(tmp_path: Path) -> None:
    """With the nearest name that there is."""
    with pytest.raises(ConfigError, match=r'price_list: genai-prices has no "opnai"; did you mean "openai"\?'):
        load_config(written(tmp_path, 'kind = "openai"\nprice_list = "opnai"'), environ={"KEY": "sk-1234567890"})


def test_without_the_extra_it_works_without_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only to ask for a list is an error then."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    config = load_config(written(tmp_path, 'kind = "openai"'), environ={"KEY": "sk-1234567890"})
    assert price_book(config).find(MINI, LAB, "gpt-4o", None, AT_MS) is None
    with pytest.raises(ConfigError, match=r"price list is an extra: pip install 'streamroute\[prices\]'"):
        load_config(written(tmp_path, 'kind = "openai"\nprice_list = "openai"'), environ={"KEY": "sk-1234567890"})


def test_own_prices_come_first(tmp_path: Path) -> None:
    """Of the upstream, then of `[[prices]]`, then of the list."""
    own = "price = { input_per_mtok = 1, output_per_mtok = 2 }"
    line = '[[prices]]\nprovider = "lab"\nmodel = "gpt-4o"\ninput_per_mtok = 3\noutput_per_mtok = 4\n'
    expected = [(own + "\n" + line, "upstreams.mini.price"), (line, "prices[0]"), ("", "genai-prices")]
    for text, source in expected:
        book = price_book(load_config(written(tmp_path, 'kind = "openai"', text), environ={"KEY": "sk-1234567890"}))
        quote = book.find(MINI, LAB, "gpt-4o", None, AT_MS)
        assert quote is not None
        assert quote.source.startswith(source)
