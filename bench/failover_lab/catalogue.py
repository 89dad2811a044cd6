"""Every scenario that the benchmark knows by its name: the product's, and replays of recorded traffic where that is."""

from collections.abc import Sequence

from failover_lab.replays import REPLAYS, traffic_folder
from failover_lab.staged import Mode
from streamroute.simulation.scenario import Scenario
from streamroute.simulation.scenarios import SCENARIOS


def names(mode: Mode = "des") -> Sequence[str]:
    """Return those that can be run."""
    known = [*SCENARIOS, *(REPLAYS if traffic_folder().is_dir() else ())]
    return [name for name in known if mode == "des" or not is_simulation_only(name)]


def is_simulation_only(name: str) -> bool:
    """Return whether our own event loop stands still in it: in one process the providers would stand still with us."""
    return name in SCENARIOS and SCENARIOS[name].pauses is not None


def scenario_named(name: str) -> Scenario:
    """Return a scenario; raises ValueError with the reason where there is none of that name."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    if name not in REPLAYS:
        raise ValueError(f"no scenario {name!r}; there are: {', '.join(names())}")
    if not traffic_folder().is_dir():
        raise ValueError(
            f"{name} replays recorded traffic, and there is none in {traffic_folder()}: set STREAMROUTE_SHARED_DATA to "
            "the folder that has traffic/"
        )
    return REPLAYS[name]()
