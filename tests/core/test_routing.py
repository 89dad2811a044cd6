"""From the name in `model` to the upstreams that may serve it."""

from typing import Any

import pytest

from streamroute.core.request import ChatRequest
from streamroute.core.routing.eligibility import why_not
from streamroute.core.routing.route import Catalog, ProviderFacts, Unknown, find_route, nearest
from streamroute.core.upstream import Capabilities, ProviderName, Route, Upstream
from tests.support.observations import upstream

FAST, BACKUP, LIKE_A_ROUTE = upstream("fast"), upstream("backup"), upstream("chat")
CHAT = Route(name="chat", upstreams=(FAST.id, BACKUP.id))
LAB = ProviderFacts(name=ProviderName("lab"), is_simulated=True)
CATALOG = Catalog(
    routes={"chat": CHAT},
    upstreams={each.id: each for each in (FAST, BACKUP, LIKE_A_ROUTE)},
    providers={LAB.name: LAB},
    disabled={"openai": "OPENAI_API_KEY is not set", "big": "its provider openai is disabled"},
)


def resolved(name: str, catalog: Catalog = CATALOG) -> tuple[Route, tuple[Upstream, ...]]:
    found = find_route(name, catalog)
    assert not isinstance(found, Unknown)
    return found


def unknown(name: str, catalog: Catalog = CATALOG) -> Unknown:
    found = find_route(name, catalog)
    assert isinstance(found, Unknown)
    return found


def request(**facts: Any) -> ChatRequest:
    return ChatRequest(wire_format="openai_chat", payload={}, model="chat", **facts)


def test_a_route_goes_before_an_upstream_of_its_name() -> None:
    """Route, then upstream, then `provider/model`."""
    assert resolved("chat") == (CHAT, (FAST, BACKUP))


def test_an_upstream_by_its_name() -> None:
    """It is a route of its own, with default deadlines."""
    route, upstreams = resolved("fast")
    assert (route, upstreams) == (Route(name="fast", upstreams=(FAST.id,)), (FAST,))


def test_a_configured_upstream_by_provider_and_model() -> None:
    """What is known of it, price and health, is used."""
    assert resolved("lab/fast-model")[1] == (FAST,)


@pytest.mark.parametrize("model", ["new-model", "org/new-model", "a:b"])
def test_any_model_of_a_configured_provider(model: str) -> None:
    """It need not be configured: it inherits from its provider, and nothing is assumed about it."""
    (found,) = resolved(f"lab/{model}")[1]
    assert (found.id, found.model, found.provider) == (f"lab/{model}", model, "lab")
    assert (found.credential, found.failure_domain, found.is_simulated) == ("lab", "lab", True)
    assert found.capabilities == Capabilities()


@pytest.mark.parametrize(("by_model", "credential"), [(False, "lab"), (True, "lab/new")])
def test_whose_quota_a_model_draws_on(by_model: bool, credential: str) -> None:
    """Some providers limit each model by itself."""
    facts = ProviderFacts(name=ProviderName("lab"), limits_by_model=by_model)
    (found,) = resolved("lab/new", Catalog(providers={facts.name: facts}))[1]
    assert found.credential == credential


@pytest.mark.parametrize(
    ("name", "meant"),
    [("chta", "chat"), ("fats", "fast"), ("bakcup", "backup"), ("zzzzzz", None), ("", None), ("lab/", None)],
)
def test_the_nearest_name(name: str, meant: str | None) -> None:
    """A slip of the finger is answered with what was meant; what is like nothing, with nothing."""
    assert unknown(name) == Unknown(name=name)
    assert nearest(name, CATALOG.names()) == meant


@pytest.mark.parametrize("name", ["openai/gpt-5", "openai"])
def test_a_disabled_provider(name: str) -> None:
    """What is configured but cannot serve says why."""
    assert unknown(name).disabled_because == "OPENAI_API_KEY is not set"


def test_a_disabled_upstream() -> None:
    """So does an upstream."""
    assert unknown("big").disabled_because == "its provider openai is disabled"


def test_names() -> None:
    """Routes come first."""
    assert CATALOG.names() == ["chat", "fast", "backup", "chat"]


FLAGS = {
    "uses_tools": "tools",
    "images": "vision",
    "audio": "audio",
    "files": "files",
    "uses_json_schema": "json_schema",
}


@pytest.mark.parametrize(("fact", "capability"), FLAGS.items())
@pytest.mark.parametrize(("has", "may"), [(True, True), (None, True), (False, False)])
def test_eligibility(fact: str, capability: str, has: bool | None, may: bool) -> None:
    """Only what is known to be missing rules an upstream out, and only where the request needs it."""
    facts: dict[str, Any] = {capability: has}
    subject = upstream("a", capabilities=Capabilities(**facts))
    assert (why_not(request(**{fact: True}), subject) is None) is may
    assert why_not(request(), subject) is None
    others: dict[str, Any] = {other: True for other in FLAGS if other != fact}
    assert why_not(request(**others), subject) is None
