"""The reference page names everything there is."""

import dataclasses
import tomllib
from pathlib import Path

from streamroute.simulation.faults import FAULTS
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenarios import SCENARIOS
from streamroute.simulation.script import Phase
from streamroute.simulation.script_file import read_script

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "simulation.md").read_text()


def test_every_fault_and_its_keys_are_described() -> None:
    """A fault's row has each of its keys."""
    section = PAGE.split("## Faults")[1].split("\n## ")[0]
    rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
    for kind, fault in FAULTS.items():
        for field in dataclasses.fields(fault):
            assert f"`{field.name}`" in rows[kind].split("|")[2], (kind, field.name)
    for name in SCENARIOS:
        assert f"| `{name}` |" in PAGE


def test_every_key_of_scripts_is_described() -> None:
    """Phases and profiles have no secret keys."""
    for cls in (Phase, Profile):
        for field in dataclasses.fields(cls):
            assert f"`{field.name}`" in PAGE, field.name


def test_example_script_is_valid() -> None:
    """The script on the page can be played."""
    example, judge = (part.split("```")[0] for part in PAGE.split("```toml\n")[1:])
    assert len(read_script(tomllib.loads(example)).phases) == 2
    assert len(read_script(tomllib.loads(judge)).profile.says_to) == 2
