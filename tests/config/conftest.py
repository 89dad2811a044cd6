"""A way to write a configuration and read it back."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.errors import ConfigError

Load = Callable[..., Config]
Problems = Callable[..., list[str]]

BASE = """\
version = 1
[providers.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9001/v1/"
[upstreams.one]
provider = "lab"
model = "small-1"
[routes.chat]
upstreams = ["one"]
"""
AT = BASE.count("\n") + 1
"""The line on which what a test adds to the base begins."""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a text; a text that does not say `version` is added to `BASE`."""

    def run(text: str = "", environ: Mapping[str, str] | None = None, **flags: str) -> Config:
        path = tmp_path / "c.toml"
        path.write_text(text if "version" in text else BASE + text)
        overrides = {name.replace("__", "."): value for name, value in flags.items()}
        return load_config(path, environ=environ or {}, overrides=overrides)

    return run


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """Return a function that gives the problems of a text, as printed, without the directory."""

    def run(text: str = "", environ: Mapping[str, str] | None = None, **flags: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ, **flags)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return run
