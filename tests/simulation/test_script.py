"""Scripts: which phase decides, and what is said about wrong files."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from streamroute.errors import ConfigError
from streamroute.simulation.faults import Cut, ErrorStatus, RateLimit, Reset
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.script_file import load_script, read_script

GOOD = """
name = "afternoon"
seed = 7
profile = { ttft_s = 0.2, tokens = 64, models = ["m1", "m2"] }

[[phases]]
from_s = 5
until_s = 10.0
probability = 0.5
fault = { kind = "rate_limit", retry_after_s = 2, form = "ms" }

[[phases]]
model = "m1"
stream = true
profile = { tpot_s = 0.5 }

[[phases]]
from_request = 3
fault = { kind = "cut", how = "close" }
"""


def phase_of(
    script: Script, elapsed_s: float = 0, ordinal: int = 0, model: str = "m", stream: bool = True
) -> int | None:
    return script.phase_of(elapsed_s=elapsed_s, ordinal=ordinal, model=model, stream=stream)


def test_first_matching_phase_wins() -> None:
    """Phases are asked in their order; without a match the provider is well."""
    script = Script(
        phases=(
            Phase(from_s=1, until_s=2, fault=Reset()),
            Phase(from_request=5, until_request=7, fault=Cut()),
            Phase(model="other", stream=False, fault=Cut()),
        )
    )
    assert phase_of(script, 0.9) is None
    assert phase_of(script, 1.0, 5) == 0
    assert phase_of(script, 2.0, 6) == 1
    assert phase_of(script, 2.0, 7) is None
    assert phase_of(script, 2.0, 7, "other", stream=True) is None
    assert phase_of(script, 2.0, 7, "other", stream=False) == 2


def test_probability_follows_the_seed() -> None:
    """The same seed chooses the same requests, another seed others, both about the share that was asked for."""
    script, other = (Script(seed=seed, phases=(Phase(probability=0.3, fault=Reset()),)) for seed in (1, 2))
    chosen = [phase_of(script, ordinal=i) for i in range(1000)]
    assert chosen == [phase_of(script, ordinal=i) for i in range(1000)]
    assert chosen != [phase_of(other, ordinal=i) for i in range(1000)]
    assert 250 < sum(one == 0 for one in chosen) < 350


def test_toml_file(tmp_path: Path) -> None:
    """Everything a file says is in the script; a phase's profile inherits from the script's."""
    path = tmp_path / "script.toml"
    path.write_text(GOOD)
    profile = Profile(ttft_s=0.2, tokens=64, models=("m1", "m2"))
    assert load_script(path) == Script(
        name="afternoon",
        seed=7,
        profile=profile,
        phases=(
            Phase(from_s=5, until_s=10, probability=0.5, fault=RateLimit(retry_after_s=2, form="ms")),
            Phase(model="m1", stream=True, profile=Profile(ttft_s=0.2, tpot_s=0.5, tokens=64, models=("m1", "m2"))),
            Phase(from_request=3, fault=Cut(how="close")),
        ),
    )


JUDGE = """
[profile]
ttft_draws_s = [0.1, 0.2]
says_to = [
  ["money back", '{"score": 9}'],
  ["never", '{"score": 1}'],
]

[[phases]]
from_request = 9
profile = { says = "no idea" }
"""


def test_lists_of_pairs_in_a_file(tmp_path: Path) -> None:
    """A file has no tuples: its lists are taken for them, at any depth, and a phase inherits them."""
    says_to = (("money back", '{"score": 9}'), ("never", '{"score": 1}'))
    profile = Profile(ttft_draws_s=(0.1, 0.2), says_to=says_to)
    expected = Script(
        name="judge",
        profile=profile,
        phases=(Phase(from_request=9, profile=replace(profile, says="no idea")),),
    )
    (tmp_path / "judge.toml").write_text(JUDGE)
    assert load_script(tmp_path / "judge.toml") == expected
    (tmp_path / "judge.json").write_text(json.dumps(tomllib.loads(JUDGE)))
    assert load_script(tmp_path / "judge.json") == expected


def test_json_file(tmp_path: Path) -> None:
    """JSON says the same as TOML."""
    path = tmp_path / "script.json"
    path.write_text('{"phases": [{"fault": {"kind": "error_status", "status": 503}}]}')
    assert load_script(path).phases == (Phase(fault=ErrorStatus(status=503)),)


@pytest.mark.parametrize(
    ("decoded", "path", "words"),
    [
        ([], "", "must be a table"),
        ({"sed": 1}, "sed", "did you mean 'seed'?"),
        ({"seed": "x"}, "seed", "valid integer"),
        ({"seed": True}, "seed", "valid integer"),
        ({"phases": {}}, "phases", "must be a list of tables"),
        ({"phases": [1]}, "phases[0]", "must be a table"),
        ({"phases": [{"form_s": 1}]}, "phases[0].form_s", "did you mean 'from_s'?"),
        ({"phases": [{"from_s": 3, "until_s": 2}]}, "phases[0]", "until_s (2) must be above from_s (3)"),
        ({"phases": [{"from_request": 3, "until_request": 3}]}, "phases[0]", "must be above from_request"),
        ({"phases": [{"from_s": -1}]}, "phases[0]", "at least 0"),
        ({"phases": [{"probability": 1.5}]}, "phases[0]", "between 0 and 1"),
        ({"phases": [{"fault": "cut"}]}, "phases[0].fault", "must be a table"),
        ({"phases": [{"fault": {}}]}, "phases[0].fault.kind", "kind is missing; there are: error_status"),
        ({"phases": [{"fault": {"kind": "stal"}}]}, "phases[0].fault.kind", "did you mean 'stall'?"),
        ({"phases": [{"fault": {"kind": ["cut"]}}]}, "phases[0].fault.kind", "unknown fault kind"),
        ({"phases": [{"fault": {"kind": "cut", "attoken": 1}}]}, "phases[0].fault.attoken", "did you mean 'at_token'?"),
        ({"phases": [{"fault": {"kind": "cut", "at_token": -1}}]}, "phases[0].fault", "at_token must be at least 0"),
        ({"phases": [{"fault": {"kind": "cut", "how": "gently"}}]}, "phases[0].fault.how", "'reset', 'close' or 'eof'"),
        ({"profile": {"jitter": 2}}, "profile", "between 0 and 1"),
        ({"profile": {"ttft_s": -1}}, "profile", "at least 0"),
        ({"profile": {"tokens": 10_000}}, "profile", "between 0 and 9999"),
        ({"profile": {"models": "m"}}, "profile.models", "should be a list, not 'm'"),
        ({"profile": {"says_to": ["a", "b"]}}, "profile.says_to", "should be a list, not ['a', 'b']"),
        ({"profile": {"says_to": [["a"]]}}, "profile.says_to", "not [['a']]"),
        ({"phases": [{"profile": {"ttft": 1}}]}, "phases[0].profile.ttft", "did you mean 'ttft_s'?"),
    ],
)
def test_mistakes_are_explained(decoded: object, path: str, words: str) -> None:
    """A mistake is reported with its path, what was found and what would be right."""
    with pytest.raises(ConfigError) as caught:
        read_script(decoded, file="s.toml")
    (problem,) = caught.value.problems
    assert (problem.path, problem.file) == (path, "s.toml")
    assert words in problem.message


def test_all_mistakes_are_reported_at_once() -> None:
    """One run shows everything that is to be repaired."""
    with pytest.raises(ConfigError) as caught:
        read_script({"seed": "x", "profile": {"a": 1}, "phases": [{"b": 1, "fault": {"kind": "c"}}]})
    assert {one.path for one in caught.value.problems} == {"seed", "profile.a", "phases[0].b", "phases[0].fault.kind"}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("s.toml", b"a = ", "is not TOML"),
        ("s.toml", b"\xff", "is not TOML"),
        ("s.json", b"{\n]", "is not JSON"),
        ("s.toml", b"#" * 1_000_001, "larger than"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, data: bytes | None, words: str) -> None:
    """A file that cannot be read or parsed is named, with the reason."""
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_script(path)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.file == str(path)


def test_line_of_a_json_mistake(tmp_path: Path) -> None:
    """The line is given where the parser knows it."""
    path = tmp_path / "s.json"
    path.write_text('{\n"a": }')
    with pytest.raises(ConfigError) as caught:
        load_script(path)
    assert caught.value.problems[0].line == 2
