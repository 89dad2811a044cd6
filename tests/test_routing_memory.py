"""What routing writes to disk while it runs."""

import asyncio
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamroute import routing_memory
from streamroute.core.observation import QualityObservation
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.upstream import UpstreamId
from streamroute.engine.learning import Learning
from streamroute.stores.options import RoutingFiles
from streamroute.stores.state_file import State, read_state, save_state
from tests.support.rig import Rig


async def test_saves_at_the_same_time_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's reset saves too: no two write at once, and the last word is in the file."""
    writing: list[int] = []

    def slowly(path: Path, state: State) -> None:
        writing.append(len(writing) + 1)
        threading.Event().wait(0.02)
        save_state(path, state)
        assert writing.pop() == 1, "two wrote at once"

    monkeypatch.setattr(routing_memory, "save_state", slowly)
    async with Rig.of(None, routing_files=RoutingFiles(state=tmp_path / "state.npz", save_interval_s=0.1)) as rig:
        memory, learning = rig.app.memory, rig.app.learning
        for i in range(5):
            outcome = QualityOutcome(decision_id=f"d{i}", upstream=UpstreamId("a"), score=1.0, source="feedback")
            learning(QualityObservation(outcome=outcome))
            await asyncio.gather(*(memory.save() for _ in range(4)))
            state = read_state(tmp_path / "state.npz")
            assert state is not None
            assert state["table_sums"].tolist() == [[i + 1, i + 1, i + 1]]
    assert os.listdir(tmp_path) == ["state.npz"]


async def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """In `/status`; requests go on, and what was learned stays in memory until there is room."""
    folder = tmp_path / "file"
    folder.write_text("")
    files = RoutingFiles(state=folder / "state.npz", save_interval_s=3600.0)
    async with Rig.of(None, routing_files=files) as rig:
        outcome = QualityOutcome(decision_id="d1", upstream=UpstreamId("a"), score=1.0, source="feedback")
        rig.app.learning(QualityObservation(outcome=outcome))
        await rig.app.memory.save()
        figures = rig.app.memory.figures()["state"]
        assert isinstance(figures, dict)
        assert (figures["is_saved"], "cannot be written" in str(figures["trouble"])) == (False, True)
        assert (await rig.ask(stream=False)).status == 200
        folder.unlink()
        await rig.app.memory.save()
        assert rig.app.memory.figures()["state"] == {
            **figures,
            "is_saved": True,
            "trouble": None,
            "saved_at": _saved(rig),
        }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domains_used", np.zeros(0)),
        ("quality_outcomes", np.array(np.inf)),
        ("quality_domains.overall", np.array([np.nan])),
        ("quality_domains.looks", np.array([np.nan])),
    ],
)
async def test_a_state_of_nonsense_does_not_stop_the_start(
    tmp_path: Path, name: str, value: NDArray[np.generic]
) -> None:
    """It is put aside, whatever is wrong with it; nothing of it is believed."""
    file, learning = tmp_path / "state.npz", Learning()
    outcome = QualityOutcome(decision_id="d1", upstream=UpstreamId("a"), score=1.0, source="feedback")
    learning(QualityObservation(outcome=outcome))
    save_state(file, {**learning.state(), name: value})
    async with Rig.of(None, routing_files=RoutingFiles(state=file, save_interval_s=3600.0)) as rig:
        assert (await rig.ask(stream=False)).status == 200
        assert not rig.app.learning.table.count("a")
    assert (tmp_path / "state.npz.broken").exists()


def _saved(rig: Rig) -> object:
    figures = rig.app.memory.figures()["state"]
    assert isinstance(figures, dict)
    return figures["saved_at"]
