"""What of a catalog a key may use."""

import pytest

from streamroute.core.caller import ANYONE, Caller
from streamroute.core.routing.route import Catalog, ProviderFacts
from streamroute.core.routing.scope import is_visible, visible_names
from streamroute.core.upstream import ProviderName, Route, UpstreamId
from tests.support.observations import upstream

A, B = upstream("a"), upstream("b")
CATALOG = Catalog(
    routes={"chat": Route(name="chat", upstreams=(A.id, B.id)), "other": Route(name="other", upstreams=(B.id,))},
    upstreams={A.id: A, B.id: B},
    providers={ProviderName("lab"): ProviderFacts(name=ProviderName("lab"))},
)


def limited(*, routes: set[str] | None = None, upstreams: set[str] | None = None) -> Caller:
    return Caller(
        key_id="k",
        routes=None if routes is None else frozenset(routes),
        upstreams=None if upstreams is None else frozenset(map(UpstreamId, upstreams)),
    )


@pytest.mark.parametrize(
    ("caller", "names"),
    [
        (ANYONE, ["chat", "other", "a", "b"]),
        (limited(routes={"chat"}), ["chat"]),
        (limited(routes={"chat", "b"}), ["chat", "b"]),
        (limited(upstreams={"a"}), ["chat", "a"]),
        (limited(upstreams={"b"}), ["chat", "other", "b"]),
        (limited(routes={"other"}, upstreams={"a"}), []),
        (limited(routes={"gone"}), []),
    ],
)
def test_names(caller: Caller, names: list[str]) -> None:
    """A route that nobody may serve is none; with a limit of routes, upstreams are not to be had by name."""
    assert visible_names(CATALOG, caller) == names


def test_models_that_are_not_configured() -> None:
    """`provider/model` is for those who are not limited, or to just that."""
    assert is_visible("lab/new", CATALOG, ANYONE)
    assert is_visible("lab/new", CATALOG, limited(upstreams={"lab/new"}))
    assert not is_visible("lab/new", CATALOG, limited(upstreams={"a"}))
    assert not is_visible("lab/new", CATALOG, limited(routes={"chat"}))
    assert not is_visible("nobody/new", CATALOG, ANYONE)
