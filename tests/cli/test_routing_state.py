"""`streamroute routing show` and `reset` where no sidecar runs: by the file alone."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from streamroute.core.observation import QualityObservation, Traits
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.upstream import UpstreamId
from streamroute.engine.learning import Learning
from streamroute.stores.state_file import read_state, save_state
from tests.support.command import run_command

CONFIG = """\
version = 1
[server]
listen = "127.0.0.1:1"
[ledger]
url = "off"
[providers.lab]
kind = "simulated"
[upstreams.small]
provider = "lab"
model = "s"
[routing]
state = "state.npz"
save_interval_s = 45
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return file


def saved(file: Path, **more: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    learning = Learning()
    for upstream, domain in (("small", "law"), ("large", "law"), ("large", "code")):
        outcome = QualityOutcome(decision_id="d", upstream=UpstreamId(upstream), score=1.0, source="feedback")
        learning(QualityObservation(outcome=outcome, traits=Traits(domain=domain)))
    save_state(file, {**learning.state(), **more})


async def test_nothing_saved_is_not_nothing_learned(config: Path) -> None:
    """A sidecar that runs may have learned what it has not saved: that is said, and when it will."""
    shown = await run_command("routing", "show", "-c", str(config))
    expected = f"nothing is saved yet in {config.parent / 'state.npz'}; a running sidecar saves every 45 s\n"
    assert (shown.exit_code, shown.stdout) == (0, expected)
    as_json = await run_command("routing", "show", "-c", str(config), "--json")
    assert (as_json.exit_code, as_json.stdout) == (0, "[]\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--upstream", "huge"], "Nothing was learned of 'huge'; of large, small there was."),
        (["--domain", "music"], "Nothing was learned of 'music'; of code, law there was."),
    ],
)
async def test_a_name_of_which_nothing_was_learned(config: Path, args: list[str], says: str) -> None:
    """It is refused, as by a sidecar, and the file is as it was."""
    file = config.parent / "state.npz"
    saved(file)
    before = await asyncio.to_thread(file.read_bytes)
    ended = await run_command("routing", "reset", "-c", str(config), *args)
    assert ended.exit_code == 1
    assert says in ended.stderr
    assert await asyncio.to_thread(file.read_bytes) == before


async def test_what_tiers_have_learned_stays(config: Path) -> None:
    """The file has more than what a reset is for: a running sidecar keeps that too."""
    file = config.parent / "state.npz"
    saved(file, **{"gates/chat": np.arange(3)})
    ended = await run_command("routing", "reset", "-c", str(config), "--domain", "law")
    assert (ended.exit_code, "has forgotten 2 outcomes" in ended.stderr) == (0, True)
    state = read_state(file)
    assert state is not None
    assert state["gates/chat"].tolist() == [0, 1, 2]
    ended = await run_command("routing", "reset", "-c", str(config))
    assert (ended.exit_code, "has forgotten 1 outcomes" in ended.stderr) == (0, True)
    state = read_state(file)
    assert state is not None
    assert state["gates/chat"].tolist() == [0, 1, 2]
