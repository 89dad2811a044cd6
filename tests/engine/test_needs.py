"""What calls are decided by, in a running sidecar: examples of domains, modes of routing."""

from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import numpy as np
import orjson
import pytest

from streamroute.core.caller import Caller
from streamroute.core.gate import AuditOptions, Thresholds
from streamroute.core.quality.subject_text import read_subject
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import Features, analyse
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.domains import LEAST_EXAMPLES
from streamroute.core.routing.learned.gatekeeper import Gatekeeper
from streamroute.core.routing.matching import ConfiguredQualities, MergedQualities, Wanted
from streamroute.core.routing.options import RoutingMode, RoutingOptions
from streamroute.core.routing.question import Question
from streamroute.core.routing.refusal import refusal
from streamroute.core.routing.route import Catalog
from streamroute.core.routing.rules import OneOf, Rule, Then
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import QualityTable, Route
from streamroute.engine.call import Call
from streamroute.engine.choice import Choice, choose
from streamroute.engine.gates import RouteGate
from streamroute.engine.learning import Learning
from streamroute.engine.needs import Needs, matched_tiers
from streamroute.errors import ForbiddenError
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.telemetry.logs import configure_logs
from tests.support.observations import upstream
from tests.support.rig import PROMPT, Rig
from tests.support.steering import board, draws
from tests.support.steering import request as chat_request

LAW = "Who may appeal against a verdict of the court, and does a plaintiff pay?"


async def features(rig: Rig, prompt: str, **headers: str) -> dict[str, Any]:
    body = {"model": "chat", "messages": [{"role": "user", "content": prompt}]}
    url = f"{rig.app.url}/v1/chat/completions"
    async with rig.session.post(url, json=body, headers={"x-streamroute-explain": "1", **headers}) as response:
        found: dict[str, Any] = orjson.loads(await response.read())["matched"]["features"]
        return found


async def test_a_request_whose_domain_is_said_is_an_example_of_it() -> None:
    """Once it is over, and only of domains that the configuration speaks of; a dry run teaches nothing."""
    async with Rig.of(None, steering="auction") as rig:
        domains = rig.app.learning.domains
        await features(rig, PROMPT, **{"x-streamroute-domain": "law"})
        assert len(domains.state()["counts"]) == 0
        await rig.ask(stream=False, streamroute={"domain": "law"})
        assert domains.state()["counts"].tolist() == [1]
        rig.app.learning._learned_at = -inf
        await rig.ask(stream=False, streamroute={"domain": "made up"})
        await rig.ask(stream=False)
        assert domains.state()["counts"].tolist() == [1]


async def test_learning_that_breaks_takes_no_answer_away() -> None:
    """An example is learned once the answer is there: what goes wrong then is for the log, not for the client."""
    async with Rig.of(None, steering="auction") as rig:
        rig.app.learning.domains._model._squares = np.zeros((1, 0), np.float32)
        reply = await rig.ask(stream=False, streamroute={"domain": "law"})
        assert reply.status == 200
        assert (await rig.ask(stream=True, streamroute={"domain": "law"})).presents_itself_as_complete


async def test_what_was_learned_of_domains_and_breaks_is_done_without(capsys: pytest.CaptureFixture[str]) -> None:
    """What a question is about is told by its terms then; one line says so."""
    async with Rig.of(None, steering="auction") as rig:
        rig.app.learning.domains._examples = dict.fromkeys(("tax", "travel"), LEAST_EXAMPLES)
        rig.app.learning.domains._model = None
        configure_logs("info", "json")
        found = await features(rig, LAW)
        assert (found["domain"], found["domain_source"]) == ("law", "classified")
        assert (await rig.ask(stream=True)).presents_itself_as_complete
    assert capsys.readouterr().err.count("routing.learning_broke") == 2


async def test_words_that_cannot_be_remembered_take_no_answer_away() -> None:
    """What comes of the decision is learned without them."""
    async with Rig.of(None, steering="auction") as rig:
        rig.app.learning._questions = None
        assert (await rig.ask(stream=False)).status == 200


@pytest.mark.parametrize(("accept_at", "answering"), [(0.0, "a"), (1.1, "b")])
async def test_gates_that_break_take_no_answer_away(accept_at: float, answering: str) -> None:
    """Tiers are asked in their order then, and answers judged by their findings."""
    async with Rig.of(None, None, tiers=("a", "b"), accept_at=Thresholds(by_tier=(accept_at,))) as rig:
        rig.app.dispatcher.gates._routes = None
        reply = await rig.ask(stream=False)
        assert (reply.status, reply.headers["x-streamroute-upstream"]) == (200, answering)
        rig.app.dispatcher.gates._routes = {"chat": RouteGate(Gatekeeper(AuditOptions()), ascents=None)}
        reply = await rig.ask(stream=False)
        assert (reply.status, reply.headers["x-streamroute-upstream"]) == (200, answering)


async def test_what_was_learned_is_asked() -> None:
    """The classifier of a running sidecar is the learned one."""
    async with Rig.of(None, steering="auction") as rig:
        for i in range(25):
            rig.app.learning.domains.learn(read_subject(f"How does my refund work with a levy {i}?"), "tax")
            rig.app.learning.domains.learn(read_subject(f"How does my flight work with a visa {i}?"), "travel")
        found = await features(rig, "Does a levy change my refund?")
        assert (found["domain"], found["domain_source"]) == ("tax", "classified")


async def test_a_plain_request_is_not_read() -> None:
    """Nothing asks for matching, so the explanation has none."""
    async with Rig.of(None) as rig:
        body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
        url = f"{rig.app.url}/v1/chat/completions"
        async with rig.session.post(url, json=body, headers={"x-streamroute-explain": "1"}) as response:
            assert orjson.loads(await response.read())["matched"] is None


DOUBTFUL = Script(name="doubtful", profile=Profile(tpot_s=0.001, says="I'm not sure."))


@pytest.mark.parametrize(
    ("named", "headers", "domain", "answering"),
    [
        ({"law": (0.0,)}, {}, "law", "a"),
        ({"law": (0.0,)}, {"x-streamroute-task": "drafting"}, "law", "a"),
        ({"law": (0.0,), "drafting": (1.0,)}, {"x-streamroute-task": "drafting"}, None, "b"),
        ({"drafting": (0.0,)}, {}, None, "b"),
        ({"wills": (0.0,)}, {"x-streamroute-domain": "wills"}, "wills", "a"),
        ({}, {}, None, "b"),
    ],
)
async def test_thresholds_by_domain_need_nobody_to_say_it(
    named: dict[str, tuple[float, ...]], headers: dict[str, str], domain: str | None, answering: str
) -> None:
    """A question is read where a threshold may go by what it is about, and nowhere else."""
    accept_at = Thresholds(by_task=named)
    async with Rig.of(DOUBTFUL, None, tiers=("a", "b"), accept_at=accept_at) as rig:
        reply = await rig.ask(stream=False, messages=[{"role": "user", "content": LAW}], headers=headers)
        assert (reply.status, reply.headers["x-streamroute-upstream"]) == (200, answering)
        matched = rig.app.dispatcher.decisions.latest(1)[0].decision.matched
        assert (None if matched is None else matched.features.domain) == domain


async def test_a_threshold_by_domain_needs_nothing_learned() -> None:
    """Where that breaks, domains are those that are known by their terms."""
    accept_at = Thresholds(by_task={"law": (0.0,)})
    async with Rig.of(DOUBTFUL, None, tiers=("a", "b"), accept_at=accept_at) as rig:
        rig.app.learning.domains._model = None
        reply = await rig.ask(stream=False, messages=[{"role": "user", "content": LAW}])
        assert (reply.status, reply.headers["x-streamroute-upstream"]) == (200, "a")


async def test_domains_of_thresholds_are_learned() -> None:
    """From requests that say theirs, as those are that an upstream's quality is known in."""
    async with Rig.of(None, None, tiers=("a", "b"), accept_at=Thresholds(by_task={"wills": (0.4,)})) as rig:
        for domain in ("wills", "made up"):
            await rig.ask(stream=False, headers={"x-streamroute-domain": domain})
            rig.app.learning._learned_at = -inf
        assert "wills" in rig.app.learning.domains.domains
        assert "made up" not in rig.app.learning.domains.domains


SMALL, LARGE = (upstream(name, provider=name, quality=QualityTable(default=q)) for name, q in (("s", 0.6), ("l", 0.9)))
TIERS = Route(name="chat", upstreams=(SMALL.id, LARGE.id), tiers=((SMALL.id,), (LARGE.id,)))


def tiers(floor: float, *, choices: int = 1, has_large: bool = True, avoided: frozenset[str] = frozenset()) -> Decision:
    wanted = Wanted(
        requirements=Requirements(min_quality=floor),
        analysis=analyse(Question(text=PROMPT)),
        qualities=ConfiguredQualities(),
        most=lambda upstream: None,
        rules=(Rule(name="r", then=Then(avoid=avoided)),),
    )
    chat = chat_request(choices=choices)
    choice = Choice(TIERS, [SMALL, LARGE] if has_large else [SMALL])
    return matched_tiers(chat, choice, wanted, partial(decide, chat, board=board(), now=0.0, uniform=draws()))


def test_a_floor_holds_for_the_last_tier() -> None:
    """Answers of those before it are judged; where they are not, the floor holds for them too."""
    found = tiers(0.8)
    assert [[each.upstream.id for each in tier.candidates] for tier in found.tiers] == [["s"], ["l"]]
    assert [each.upstream.id for each in tiers(0.8, choices=2).candidates] == ["l"]
    alone = tiers(0.8, has_large=False)
    assert (alone.candidates, [each.upstream for each in alone.rejected]) == ((), ["s"])


def test_a_tier_in_which_nobody_is_allowed_is_named() -> None:
    """It is said who was left out, and that it was not because of how they are."""
    found = tiers(0.5, avoided=frozenset({SMALL.id}))
    assert [each.upstream.id for each in found.candidates] == ["l"]
    assert "a smaller tier (s) is skipped: none of it can serve the request, or meets what it requires" in found.reasons


def test_the_nearest_offer_of_all_tiers() -> None:
    """Whoever is best of them."""
    found = tiers(0.95)
    assert not found.candidates
    assert found.matched is not None
    assert refusal(found.matched) == "Nobody offers quality 0.95 for general: the best is l with 0.9."


@pytest.mark.parametrize(("mode", "kind"), [("rules", ConfiguredQualities), ("hybrid", MergedQualities)])
def test_where_estimates_come_from(mode: RoutingMode, kind: type) -> None:
    """From the configuration, from what was learned, or from both."""
    learning = Learning()
    needs = Needs(options=RoutingOptions(mode=mode), learned=learning)
    assert isinstance(needs.qualities, kind)
    assert Needs(options=RoutingOptions(mode="learned"), learned=learning).qualities is learning


async def test_a_reload_changes_the_rules() -> None:
    """New requests go by them; in mode `learned` no rule is applied."""
    async with Rig.of(None, None) as rig:
        rule = Rule(name="r", then=Then(prefer=frozenset({list(rig.app.config.upstreams)[1]})))
        await rig.app.reload(replace(rig.app.config, routing=RoutingOptions(mode="learned", rules=(rule,))))
        await rig.ask(stream=False)
        assert rig.requests == [1, 0]
        await rig.app.reload(replace(rig.app.config, routing=RoutingOptions(rules=(rule,))))
        await rig.ask(stream=False)
        assert rig.requests == [1, 1]


LAW = "Is the indemnity clause of this contract void, and may the plaintiff sue for damages?"


def features_of(route: Route, rules: tuple[Rule, ...] = ()) -> Features | None:
    """Return what is known of a question about the law, on a route; None: nothing was read."""
    chat = replace(chat_request(), payload={"messages": [{"role": "user", "content": LAW}]})
    catalog = Catalog(routes={"chat": route}, upstreams={SMALL.id: SMALL, LARGE.id: LARGE})
    call = Call(request_id="r", chat=chat, arrived_at=0.0)
    needs = Needs(options=RoutingOptions(rules=rules))
    wanted = needs.settle(call, catalog, lambda name, who: choose(name, catalog, who), lambda upstream: None).wanted
    return None if wanted is None else wanted.analysis.features


def test_what_rules_have_read_is_kept() -> None:
    """Whoever asks why none applied sees what the question was held for."""
    rule = Rule(name="money", when=(OneOf("domain", frozenset({"finance"})),), then=Then(min_quality=0.9))
    found = features_of(Route(name="chat", upstreams=(SMALL.id,)), (rule,))
    assert found is not None
    assert found.domain == "law"
    assert features_of(Route(name="chat", upstreams=(SMALL.id,))) is None


def test_a_rule_leads_to_a_route_that_a_key_may_not_name() -> None:
    """The operator's word goes over the key's routes, but not over its upstreams."""
    other = Route(name="other", upstreams=(LARGE.id,))
    catalog = Catalog(
        routes={"chat": Route(name="chat", upstreams=(SMALL.id,)), "other": other},
        upstreams={SMALL.id: SMALL, LARGE.id: LARGE},
    )
    needs = Needs(options=RoutingOptions(rules=(Rule(name="r", then=Then(route="other")),)))

    def settled(caller: Caller, model: str = "chat") -> Choice:
        chat = replace(chat_request(), model=model)
        call = Call(request_id="r", chat=chat, arrived_at=0.0, caller=caller)
        return needs.settle(call, catalog, lambda name, who: choose(name, catalog, who), lambda upstream: None).choice

    assert settled(Caller(routes=frozenset({"chat"}))).route is other
    with pytest.raises(ForbiddenError):
        settled(Caller(routes=frozenset({"chat"})), model="other")
    with pytest.raises(ForbiddenError):
        settled(Caller(upstreams=frozenset({SMALL.id})))
