"""Arrays in a file that is replaced as a whole."""

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from streamroute.errors import StoreError
from streamroute.stores.state_file import ForeignFileError, load_state, read_state, save_state
from streamroute.telemetry.logs import configure_logs


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """In a folder that is made; nothing else stays there. A file that is not there is no trouble."""
    path = tmp_path / "new" / "state.npz"
    assert load_state(path) is None
    for i in range(2):
        save_state(path, {"numbers": np.arange(3) + i, "names": np.array(["é", ""])})
    state = load_state(path)
    assert state is not None
    assert {name: array.tolist() for name, array in state.items()} == {"numbers": [1, 2, 3], "names": ["é", ""]}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("cut", [0, 10, -10, None])
def test_a_broken_file_is_put_aside(cut: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty, cut anywhere, or something else: said in one line, kept for a person to look at, and out of the way."""
    configure_logs("info", "json")
    path = tmp_path / "state.npz"
    save_state(path, {"numbers": np.arange(1000)})
    broken = b"no archive" if cut is None else path.read_bytes()[:cut]
    path.write_bytes(broken)
    assert load_state(path) is None
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz.broken"]
    assert (tmp_path / "state.npz.broken").read_bytes() == broken
    [line] = capsys.readouterr().err.splitlines()
    assert "state.unreadable" in line
    assert "state.npz.broken" in line


@pytest.mark.parametrize("seed", range(60))
def test_any_byte_may_be_wrong(seed: int, tmp_path: Path) -> None:
    """An archive's directory can ask for compression, for encryption, for another version, for all the memory there
    is: it is read or refused, and nothing else."""
    path = tmp_path / "state.npz"
    save_state(path, {"numbers": np.arange(20), "names": np.array(["a", "b"])})
    broken = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(1 + seed % 4):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    path.write_bytes(broken)
    with contextlib.suppress(StoreError):
        read_state(path)


def test_another_version_and_code_are_refused(tmp_path: Path) -> None:
    """What a newer streamroute has saved, what is none of ours, and pickled objects."""
    path = tmp_path / "state.npz"
    np.savez(path, streamroute_state=np.array(2))
    with pytest.raises(StoreError, match="version 2; this streamroute reads 1"):
        read_state(path)
    for version in (np.array([1, 1]), np.array("x"), np.array(np.inf), np.array(1.0)):
        np.savez(path, streamroute_state=version)
        with pytest.raises(StoreError, match="this streamroute reads 1"):
            read_state(path)
    np.savez(path, x=np.array(2))
    with pytest.raises(ForeignFileError, match="no version"):
        read_state(path)
    np.savez(path, streamroute_state=np.array(1), x=np.array([{}], dtype=object))
    with pytest.raises(ForeignFileError, match="it is damaged, or nothing that streamroute has saved"):
        read_state(path)


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """The old state stays."""
    path = tmp_path / "file" / "state.npz"
    path.parent.write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save_state(path, {"x": np.arange(3)})
