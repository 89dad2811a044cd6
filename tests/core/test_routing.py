"""From the name in `model` to the upstreams that may serve it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.health.standing import Standing
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Rejected
from streamroute.core.routing.eligibility import why_not
from streamroute.core.routing.route import Catalog, ProviderFacts, Unknown, decide, find_route
from streamroute.core.upstream import Capabilities, ProviderName, Route, Upstream, UpstreamId
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
READY = Standing()


def resolved(name: str, catalog: Catalog = CATALOG) -> tuple[Route, tuple[Upstream, ...]]:
    found = find_route(name, catalog)
    assert not isinstance(found, Unknown)
    return found


def unknown(name: str, catalog: Catalog = CATALOG) -> Unknown:
    found = find_route(name, catalog)
    assert isinstance(found, Unknown)
    return found


def request(**facts: bool) -> ChatRequest:
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
    ("name", "nearest"),
    [("chta", "chat"), ("fats", "fast"), ("bakcup", "backup"), ("zzzzzz", None), ("", None), ("lab/", None)],
)
def test_the_nearest_name(name: str, nearest: str | None) -> None:
    """A slip of the finger is answered with what was meant; what is like nothing, with nothing."""
    assert unknown(name) == Unknown(name=name, nearest=nearest)


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


FLAGS = {"uses_tools": "tools", "uses_vision": "vision", "uses_json_schema": "json_schema"}


@pytest.mark.parametrize(("fact", "capability"), FLAGS.items())
@pytest.mark.parametrize(("has", "may"), [(True, True), (None, True), (False, False)])
def test_eligibility(fact: str, capability: str, has: bool | None, may: bool) -> None:
    """Only what is known to be missing rules an upstream out, and only where the request needs it."""
    subject = upstream("a", capabilities=Capabilities(**{capability: has}))
    assert (why_not(request(**{fact: True}), subject) is None) is may
    assert why_not(request(), subject) is None
    others = {other: True for other in FLAGS if other != fact}
    assert why_not(request(**others), subject) is None


def test_the_decision_explains_itself() -> None:
    """Candidates stand in the order of preference, with how they stood; the rest is rejected with a reason."""
    blind = upstream("blind", capabilities=Capabilities(vision=False))
    resting = Standing(kind="rate_limited", can_ask=False, until=9.0)
    decision = decide(
        request(uses_vision=True), CHAT, (BACKUP, blind, FAST), lambda each: resting if each is FAST else READY
    )
    assert [(each.upstream, each.standing) for each in decision.candidates] == [(BACKUP, READY), (FAST, resting)]
    assert [each.is_ready_at(0.0) for each in decision.candidates] == [True, False]
    assert decision.rejected == (Rejected(upstream=UpstreamId("blind"), reason="it does not take images"),)
    assert decision.route is CHAT


@settings(deadline=None, max_examples=60)
@given(
    tools=st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=4),
    uses_tools=st.booleans(),
    draw=st.randoms(use_true_random=False),
)
def test_permutations(tools: list[bool | None], uses_tools: bool, draw: random.Random) -> None:
    """The order in which upstreams are listed is the order asked, and decides nothing about who may serve."""
    listed = [upstream(str(at), capabilities=Capabilities(tools=has)) for at, has in enumerate(tools)]
    shuffled = draw.sample(listed, len(listed))
    one = decide(request(uses_tools=uses_tools), CHAT, tuple(listed), lambda _: READY)
    two = decide(request(uses_tools=uses_tools), CHAT, tuple(shuffled), lambda _: READY)
    assert set(one.candidates) == set(two.candidates)
    assert set(one.rejected) == set(two.rejected)
    assert [each.upstream for each in two.candidates] == [
        each for each in shuffled if each in {candidate.upstream for candidate in one.candidates}
    ]
    assert not {each.upstream.id for each in two.candidates} & {each.upstream for each in two.rejected}
