"""`tier_policy` of a route: read with the configuration, and what is wrong with the file is one of its problems."""

from pathlib import Path

import numpy as np
import pytest

from streamroute.core.routing.learned.policy_fit import fit_policy
from streamroute.stores.outcome_files import read_outcomes
from streamroute.stores.state_file import State, save_state
from tests.config.conftest import Load, Problems
from tests.support.outcomes import write_outcomes

UPSTREAMS = """\
[upstreams.small]
provider = "lab"
model = "s"
[upstreams.large]
provider = "lab"
model = "l"
"""
ROUTE = '[routes.thrifty]\ntiers = [["small"], ["large"]]\ntier_policy = "policy.npz"\n'


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """What a file holds."""
    file = write_outcomes(tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl", 240)
    rows = read_outcomes(file, lambda *_: None)
    return fit_policy(rows, [["small"], ["large"]], 0.98, "policy.npz", epochs=1).fitted.state()


def test_a_policy_is_read_from_beside_the_file(tmp_path: Path, load: Load, state: State) -> None:
    """It is there by its route, with the name of its file."""
    save_state(tmp_path / "policy.npz", state)
    config = load(f"{UPSTREAMS}{ROUTE}")
    assert config.tier_policies["thrifty"].name == "policy.npz"
    assert config.tier_policies["thrifty"].tiers == (("small",), ("large",))
    assert config.routes["thrifty"].tier_policy == "policy.npz"
    assert list(config.tier_policies) == ["thrifty"]


def test_a_policy_outlives_a_disabled_upstream(tmp_path: Path, load: Load, state: State) -> None:
    """Its tiers are those of the file, whoever has a key now."""
    save_state(tmp_path / "policy.npz", state)
    off = '[providers.off]\nkind = "openai"\napi_key = "${NOT_SET}"\n'
    small = UPSTREAMS.replace('provider = "lab"\nmodel = "s"', 'provider = "off"\nmodel = "s"')
    config = load(f"{off}{small}{ROUTE}")
    assert config.routes["thrifty"].tiers == (("large",),)
    assert config.tiers["thrifty"] == (("small",), ("large",))


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (ROUTE.replace("policy.npz", "gone.npz"), '"gone.npz": there is no such file; `streamroute routing fit'),
        (ROUTE.replace("policy.npz", "text.npz"),
         '"text.npz": it is not a tier policy; `streamroute routing fit thrifty` writes one'),
        (ROUTE.replace("policy.npz", "array.npz"), '"array.npz": it is not a tier policy; `streamroute routing fit'),
        (ROUTE.replace("policy.npz", "strange.npz"), '"strange.npz": it is not a tier policy; `streamroute routing'),
        (ROUTE.replace("policy.npz", "folder.npz"), "folder.npz cannot be read: Is a directory"),
        (ROUTE.replace("policy.npz", "other.npz"), "it is no tier policy"),
        (ROUTE.replace('["large"]', '["one"]'), "for the tiers [small], [large], and the route has [small], [one]"),
        (ROUTE.replace('["large"]', '["large"], ["one"]'), "and the route has [small], [large], [one]; fit it anew"),
        (ROUTE.replace('tiers = [["small"], ["large"]]', 'upstreams = ["small"]'), "nothing to decide without `tiers`"),
        (f"{ROUTE}accept_at = 0.7\n", "accept_at: stands beside `tier_policy`"),
        (f'{ROUTE}assess = ["judge"]\njudge = "one"\n', "assess: stands beside `tier_policy`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said(tmp_path: Path, problems: Problems, state: State, route: str, says: str) -> None:
    """With the place in the file, and what to do."""
    save_state(tmp_path / "policy.npz", state)
    save_state(tmp_path / "other.npz", {"what": np.array(b"learned")})
    (tmp_path / "text.npz").write_text("not an archive")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.arange(3))
    np.savez(tmp_path / "strange.npz", what=np.array(b"somebody else's"))
    (tmp_path / "folder.npz").mkdir()
    [found] = problems(f"{UPSTREAMS}{route}")
    assert says in found
    assert "pickle" not in found
