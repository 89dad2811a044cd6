"""The table of presets is data; these are its rules."""

from urllib.parse import urlsplit

import pytest

from streamroute.providers.options import ProviderOptions, SimulationOptions
from streamroute.providers.presets import PRESETS, SIMULATED, Preset

ALL = list(PRESETS.values())
WANTED = {
    "anthropic", "anthropic_compatible", "azure_openai", "cerebras", "cohere", "deepinfra", "deepseek", "fireworks",
    "gemini", "gemini_native", "groq", "huggingface", "hyperbolic", "litellm", "llama_cpp", "lm_studio", "mistral",
    "moonshot", "nebius", "nvidia_nim", "ollama", "openai", "openai_compatible", "openrouter", "perplexity", "qwen",
    "sambanova", "sglang", "simulated", "together", "vllm", "xai", "zai",
}  # fmt: skip


def test_the_promised_providers_are_there() -> None:
    """What the README lists exists."""
    assert set(PRESETS) == WANTED


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.kind)
def test_rows_are_sane(preset: Preset) -> None:
    """Hosted services are reached over TLS, local ones on loopback; every row says where its facts come from."""
    assert PRESETS[preset.kind] is preset
    assert preset.kind.replace("_", "").isalnum()
    assert preset.kind.islower()
    assert preset.title
    assert preset.docs.startswith("https://") or preset.kind == SIMULATED
    if preset.base_url is not None:
        parts = urlsplit(preset.base_url)
        assert not preset.base_url.endswith("/")
        assert not parts.query
        assert parts.scheme == ("https" if preset.requires_key else "http")
        assert preset.requires_key or parts.hostname == "127.0.0.1"
    if preset.requires_key:
        assert preset.env
        assert preset.env.isupper()
        assert preset.auth != "none"


@pytest.mark.parametrize("column", ["base_url", "env", "title"])
def test_no_two_rows_are_the_same_place(column: str) -> None:
    """Two rows with one address or one key would be one provider, unless they speak different formats."""
    values = [(value, preset.wire_format) for preset in ALL if (value := getattr(preset, column)) is not None]
    assert len(values) == len(set(values))


def test_provider_options_hide_their_secrets() -> None:
    """`repr` reaches logs."""
    name = next(iter(PRESETS))
    options = ProviderOptions(
        name=name,  # type: ignore[arg-type]  # a plain str here
        kind="openai",
        base_url="https://x",
        api_key="canary",
        headers={"a": "canary"},
    )
    assert "canary" not in repr(options)
    assert options.credential == name
    assert not options.is_simulated
    simulated = ProviderOptions(name=name, kind=SIMULATED, base_url="", simulation=SimulationOptions())  # type: ignore[arg-type]
    assert simulated.is_simulated
