"""`tier_policy` of routes: the files are read where the configuration is, so that a bad one is one of its problems."""

from collections.abc import Mapping
from pathlib import Path

from streamroute.config.draft import Draft
from streamroute.core.routing.learned.fitted_policy import FittedPolicy, from_state
from streamroute.core.upstream import Route
from streamroute.errors import StoreError
from streamroute.stores.state_file import ForeignFileError, read_state

_DECIDED = {
    "assess": "nobody is asked what an answer is worth",
    "accept_at": "there is no score that an answer must have",
}
"""Settings that have no say beside a policy, and why."""


def build_tier_policies(draft: Draft, routes: Mapping[str, Route]) -> dict[str, FittedPolicy]:
    """Return the policies of routes that go by one, and report what is wrong with the others. `routes` list all their
    upstreams, enabled or not; paths count from the folder of the configuration."""
    found: dict[str, FittedPolicy] = {}
    for name, route in routes.items():
        if route.tier_policy is None:
            continue
        at = ("routes", name, "tier_policy")
        if not route.tiers:
            draft.report(at, "there is nothing to decide without `tiers`")
            continue
        for key, why in _DECIDED.items():
            if key in draft.table("routes", name):
                draft.report(("routes", name, key), f"stands beside `tier_policy`, by which {why}; remove one of them")
        try:
            found[name] = _read(draft.file.absolute().parent / Path(route.tier_policy).expanduser(), route)
        except (StoreError, ValueError) as error:
            draft.report(at, f"{draft.shown(at, route.tier_policy)}: {error}")
    return found


def _read(path: Path, route: Route) -> FittedPolicy:
    """Return the policy in a file; StoreError or ValueError: there is none that fits the route."""
    writes = f"`streamroute routing fit {route.name}` writes one"
    try:
        state = read_state(path)
    except ForeignFileError:
        raise ValueError(f"it is not a tier policy; {writes}") from None
    if state is None:
        raise ValueError(f"there is no such file; {writes}")
    policy = from_state(state, path.name)
    own, others = ([sorted(tier) for tier in tiers] for tiers in (route.tiers, policy.tiers))
    if own != others:
        raise ValueError(
            f"it was fitted for the tiers {_shown(policy.tiers)}, and the route has {_shown(route.tiers)}; "
            f"fit it anew with `streamroute routing fit {route.name}`"
        )
    return policy


def _shown(tiers: tuple[tuple[str, ...], ...]) -> str:
    return ", ".join(f"[{', '.join(tier)}]" for tier in tiers)
