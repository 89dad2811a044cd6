"""A policy fitted on recorded outcomes, kept, and walked by requests: a small world whose best policy is known."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from math import inf

import numpy as np
import pytest

from streamroute.core.quality.checks import assess
from streamroute.core.quality.ridge import Ridge
from streamroute.core.quality.signals import Answer, answer_of, signals
from streamroute.core.quality.verdict import Draft, Finding, Verdict, Wanted
from streamroute.core.routing.learned.first_level import prepare, seen
from streamroute.core.routing.learned.fitted_policy import from_state
from streamroute.core.routing.learned.outcome_rows import Outcome, Row
from streamroute.core.routing.learned.policy_fit import FitError, PolicyFit, as_held, fit_policy
from streamroute.core.routing.learned.policy_walk import Choice, PolicyWalk
from streamroute.core.routing.learned.stage import Seen, Stage, answer_features, features
from streamroute.core.routing.learned.tier_models import answer_vector, question_vector
from streamroute.core.routing.learned.tier_policy import Move, TierPolicy
from tests.support.outcomes import LAW, RIVER, SUM, SURE, UNSURE, outcome_lines

TWO, THREE = ("small", "large"), ("small", "middle", "large")
LARGE = Move("ask", 1)


def world(names: tuple[str, ...] = TWO, **costs: float) -> list[Row]:
    """The rows of the file, without a file."""
    found = []
    for line in outcome_lines(names=names):
        given = line["outcomes"]
        assert isinstance(given, Mapping)
        outcomes = {
            name: Outcome(
                score=each["score"],
                cost_usd=costs.get(name, each["cost_usd"]),
                answer=Answer(text=each["answer"]),
                draft=Draft(text=each["answer"], finish_reason="stop"),
            )
            for name, each in given.items()
        }
        id_, domain, text = (str(line[key]) for key in ("id", "domain", "question"))
        found.append(Row(dataset="", query_id=id_, domain=domain, text=text, outcomes=outcomes))
    return found


def fitted(names: tuple[str, ...] = TWO, keep_quality: float = 0.99) -> PolicyFit:
    return fit_policy(world(names), [[name] for name in names], keep_quality, "p.npz")


@pytest.fixture(scope="module")
def two() -> PolicyFit:
    return fitted()


@pytest.fixture(scope="module")
def three() -> PolicyFit:
    return fitted(THREE)


def heard(walk: PolicyWalk, tier: int, text: str, finish_reason: str = "stop") -> bool:
    draft = Draft(text=text, finish_reason=finish_reason)
    return walk.heard(tier, draft, Wanted(), assess(draft, Wanted()))


def test_the_best_kind_is_found(two: PolicyFit) -> None:
    """Law is not worth a try, sums are, and of rivers the answer tells: four tenths of the small model's requests are
    saved, and nothing is lost."""
    assert two.fitted.policy.kind == "hybrid"
    assert (two.rows, two.partial, two.left_out) == (480, 0, {})
    assert two.domains == {"sums": 160, "law": 160, "rivers": 160}
    small, large = two.always
    assert (small.quality_ratio < 0.6, small.saving, large.saving) == (True, pytest.approx(0.8), 0.0)
    best = two.expected["hybrid"]
    assert best.quality_ratio >= 0.99
    assert best.quality_ratio_interval[0] < best.quality_ratio < best.quality_ratio_interval[1]
    assert 0.3 < best.saving_interval[0] < best.saving < best.saving_interval[1] < 0.5
    assert best.saving > max(two.expected[kind].saving for kind in ("router", "cascade"))
    assert best.tier_shares[0] == pytest.approx(0.5, abs=0.05)


def test_a_fit_is_the_same_twice(two: PolicyFit) -> None:
    """Every draw goes by a seed."""
    assert fitted().fitted.digest == two.fitted.digest


def test_a_walk_begins_by_the_question(two: PolicyFit) -> None:
    """Words and domain; where only the small tier can be asked it is."""
    for text, domain, tier in ((SUM, "sums", 0), (LAW, "law", 1), (RIVER, "rivers", 0)):
        walk = PolicyWalk(two.fitted, text.format("upper", "lower"), domain)
        choice = walk.choose({0, 1})
        assert (choice.move, choice.margin) == (Move("ask", tier), -inf)
        assert walk.choose({0}).move == Move("ask", 0)
        assert walk.choose(()).move is None
        assert walk.choose({0, 1}, caution=1.0).move == LARGE


def test_a_walk_goes_on_by_the_answer(two: PolicyFit) -> None:
    """A sure one is delivered, a hedging one is not; caution and what a machine cannot use come before."""
    question = RIVER.format("upper", "lower")
    sure, unsure, cut = (PolicyWalk(two.fitted, question, "rivers") for _ in range(3))
    heard(sure, 0, SURE.format(7))
    heard(unsure, 0, UNSURE.format(7))
    heard(cut, 0, SURE.format(7), "length")
    choice = sure.choose({1})
    assert choice.move == Move("deliver", 0)
    assert choice.margin == pytest.approx(choice.utilities[Move("deliver", 0)] - choice.utilities[LARGE])
    assert sure.choose({1}, caution=choice.margin + 0.01).move == LARGE
    assert sure.choose({1}, caution=inf).move == LARGE
    assert sure.choose((), caution=inf).move == Move("deliver", 0)
    assert unsure.choose({1}).move == LARGE
    assert unsure.choose({1}).margin < 0.0
    assert (cut.choose({1}).move, cut.choose({1}).margin) == (LARGE, -inf)
    assert cut.choose(()).move is None
    assert sure.probability(0) > 0.5 > unsure.probability(0)


def test_an_earlier_answer_may_be_the_one(three: PolicyFit) -> None:
    """Once the middle one's answer is of no use, the small one's is delivered again; and who agrees is heard."""
    walk = PolicyWalk(three.fitted, SUM.format(3, 4), "sums")
    assert not heard(walk, 0, SURE.format(7))
    heard(walk, 1, SURE.format(7), "length")
    assert walk.choose({2}).move == Move("deliver", 0)
    assert walk.stage == (0, 1)
    again = PolicyWalk(three.fitted, SUM.format(3, 4), "sums")
    heard(again, 1, SURE.format(8))
    assert heard(again, 0, SURE.format(8))
    assert again.stage == (0, 1)


def test_a_router_delivers_whom_it_asked(three: PolicyFit) -> None:
    """Its margin is that of the question; an answer that cannot be used is not delivered by it either."""
    policy = replace(three.fitted, policy=TierPolicy(3, "router", three.fitted.policy.models))
    walk = PolicyWalk(policy, SUM.format(3, 4), "sums")
    first = walk.choose({0, 1, 2})
    assert first.move == Move("ask", 0)
    heard(walk, 0, UNSURE.format(7))
    choice = walk.choose({1, 2})
    assert choice.move == Move("deliver", 0)
    assert choice.margin == pytest.approx(first.utilities[Move("ask", 0)] - first.utilities[Move("ask", 2)])
    cut = PolicyWalk(policy, SUM.format(3, 4), "sums")
    heard(cut, 0, SURE.format(7), "length")
    move = cut.choose({1, 2}).move
    assert move is not None
    assert move.kind == "ask"


def test_a_cascade_has_no_choice_at_first(three: PolicyFit) -> None:
    """It begins with the smallest; where that cannot be asked it says nothing, and goes on from whoever answers."""
    first = Ridge(2 * (len(THREE) + 1) + len(three.fitted.domains), 1)
    cascade = TierPolicy(3, "cascade", {**three.fitted.policy.models, (): first})
    walk = PolicyWalk(replace(three.fitted, policy=cascade), SUM.format(3, 4), "sums")
    assert walk.choose({0, 1, 2}) == Choice(Move("ask", 0), walk.choose({0}).utilities, -inf)
    assert walk.choose({1, 2}).move is None
    heard(walk, 1, SURE.format(7))
    assert walk.choose({2}).move == Move("deliver", 1)


def test_elsewhere_the_answer_alone_tells() -> None:
    """In a domain that nothing was fitted on it begins with the smallest, whatever the question, and what that says is
    delivered or the largest asked. Where no domain is known the words tell all the same."""
    rows = [replace(row, domain=f"{row.domain} {at % 2}") for at, row in enumerate(world(THREE))]
    elsewhere = fit_policy(rows, [[name] for name in THREE], 0.99, "p.npz").fitted
    for text in (LAW, SUM):
        sure, unsure = (PolicyWalk(elsewhere, text.format("upper", "lower"), "recipes") for _ in range(2))
        assert sure.is_elsewhere
        assert sure.choose({0, 1, 2}).move == Move("ask", 0)
        assert sure.choose({1, 2}).move == Move("ask", 2)  # nothing is known of what a tier between says here
        assert sure.choose({1}).move == Move("ask", 1)
        assert sure.choose(()).move is None
        heard(sure, 0, SURE.format(7))
        heard(unsure, 0, UNSURE.format(7))
        assert list(sure.choose({1, 2}).utilities) == [Move("deliver", 0), Move("ask", 2)]
        assert sure.choose({1, 2}).margin > unsure.choose({1, 2}).margin
        heard(sure, 1, SURE.format(7))
        assert sure.stage == (0, 1)
        assert list(sure.choose({2}).utilities) == [Move("deliver", 0), Move("ask", 2)]
    anywhere = PolicyWalk(elsewhere, LAW.format("upper", "lower"), "").choose({0, 1, 2})
    assert list(anywhere.utilities) == [Move("ask", 0), Move("ask", 1), Move("ask", 2)]
    again = from_state(elsewhere.state(), "q.npz")
    walk = PolicyWalk(again, SUM.format("upper", "lower"), "recipes")
    heard(walk, 0, UNSURE.format(7))
    assert walk.choose({1, 2}) == unsure.choose({1, 2})
    assert again.digest == elsewhere.digest


def test_of_few_domains_nothing_is_learned_for_others(three: PolicyFit) -> None:
    """What is left when whole ones are left out is too little."""
    assert three.fitted.unknown is None


def test_words_that_were_never_learned_from_are_told(three: PolicyFit) -> None:
    """Of a question like those that were fitted on hardly any, as is usual there; of one in other words most."""
    own = PolicyWalk(three.fitted, LAW.format("upper", "lower"), "law").unknown_share
    other = PolicyWalk(three.fitted, "Wie lange hat ein Schornsteinfeger Zeit?", "law").unknown_share
    assert own < 0.2
    assert other > 0.5
    assert set(three.fitted.usual_words) == set(three.domains) == three.fitted.seen_domains
    assert three.fitted.usual_words["law"].mean < 0.2


def test_a_walk_in_a_domain_that_has_changed_goes_by_the_answer_alone(three: PolicyFit) -> None:
    """As in one that was not fitted on; where there is nothing for such, as before."""
    cautious = TierPolicy(2, "cascade", {(): Ridge(1, 1)})
    walk = PolicyWalk(replace(three.fitted, unknown=cautious), SUM.format(1, 2), "sums")
    walk.is_of_another_kind()
    assert walk.choose({0, 1, 2}).move == Move("ask", 0)
    before = PolicyWalk(three.fitted, SUM.format(1, 2), "sums")
    after = PolicyWalk(three.fitted, SUM.format(1, 2), "sums")
    after.is_of_another_kind()
    assert after.choose({0, 1, 2}) == before.choose({0, 1, 2})


def test_a_walk_decides_as_the_study_does(three: PolicyFit) -> None:
    """The same features by either way: every row, every stage."""
    policy, domains = three.fitted.policy, three.fitted.domains
    for row in world(THREE)[:90]:
        [ready] = prepare([as_held(row, THREE[:2])], THREE)
        known = seen(ready, three.fitted.models)
        stages: list[Stage] = [(), (0,), (0, 1)]
        walk = PolicyWalk(three.fitted, row.text, row.kind)
        for stage in stages:
            if stage:
                heard(walk, stage[-1], row.outcomes[THREE[stage[-1]]].answer.text)
            own = features(known, stage, domains)
            assert walk.choose({0, 1, 2}).move == policy.choose(stage, own)
            assert walk.choose({0, 1, 2}, 0.1).move == policy.choose(stage, own, 0.1)


def test_a_policy_outlives_its_process(three: PolicyFit) -> None:
    """What is kept decides alike; a policy of another shape is refused with what is wrong."""
    state = three.fitted.state()
    again = from_state(state, "q.npz")
    assert again == replace(three.fitted, name="q.npz", policy=again.policy, models=again.models, unknown=again.unknown)
    assert again.digest == three.fitted.digest
    utilities = []
    for policy in (three.fitted, again):
        walk = PolicyWalk(policy, LAW.format("upper", "inner"), "law")
        heard(walk, 0, UNSURE.format(0))
        utilities.append(walk.choose({1, 2}).utilities)
    assert utilities[0] == utilities[1]


def test_a_price_that_a_file_does_not_have_is_not_known(three: PolicyFit) -> None:
    """Files of before had none; what they are called by, and all that they decide, is as it was."""
    assert three.fitted.policy.price == three.price
    state = dict(three.fitted.state())
    said = json.loads(state["about"].tobytes())
    assert said.pop("price") == three.price
    state["about"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    old = from_state(state, "p.npz")
    assert PolicyWalk(old, LAW.format("upper", "inner"), "law").price is None
    assert old.state()["about"].tobytes() == state["about"].tobytes()


def about(**changed: object) -> np.ndarray:
    """What a file for three tiers says of itself, but for these."""
    rest = {"tiers": [[name] for name in THREE], "kind": "hybrid", "domains": ["law", "rivers", "sums"]}
    return np.frombuffer(json.dumps({**rest, "usual_words": {}, **changed}).encode(), np.uint8)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"what": np.array(b"something else")}, "no tier policy"),
        ({"what": np.array(10**12)}, "no tier policy"),
        ({"what": np.array(["a"])}, "no tier policy"),
        ({"about": np.frombuffer(b"[" * 100_000, np.uint8)}, "missing or of another shape"),
        ({"about": about(attempt_cost=np.nan)}, "attempt_cost"),
        ({"about": about(attempt_cost=10**400)}, "attempt_cost"),
        ({"about": about(attempt_cost="0.1")}, "attempt_cost"),
        ({"about": about(price=-1.0)}, "its price is no price"),
        ({"about": about(price=True)}, "its price is no price"),
        ({"questions/weights": np.full((1, 4), 1e300)}, "not finite, or above"),
        ({"questions/weights": np.full((1, 4), 1j)}, "no numbers"),
        ({"stage/gram": np.array(["x"])}, "no numbers"),
        ({"about": np.frombuffer(b"{}", np.uint8)}, "missing or of another shape"),
        ({"about": np.frombuffer(b'{"tiers": [["a"]], "kind": "hybrid"}', np.uint8)}, "1 tiers"),
        ({"about": about(usual_words={"law": [0.1]})}, "not enough values"),
        ({"about": about(usual_words={"law": [0.1, 0.0]})}, "words of law have the mean 0.1 and the deviation 0"),
        ({"stage_0/gram": np.zeros((0, 0))}, "shapes"),
        ({"stage_0_1/moments": np.zeros((7, 3))}, "shapes"),
        ({"stage_0/moments": np.array([[np.nan]])}, "not finite"),
        ({"answers_0/weights": np.zeros((2, 7), np.float32)}, "saved weights have the shape"),
        ({"questions/used": np.array([0], np.int32), "questions/weights": np.zeros((1, 3), np.float32)}, "of tiers"),
        ({"questions/used": np.array([-1], np.int32), "questions/weights": np.zeros((1, 4), np.float32)}, "buckets"),
    ],
)
def test_what_is_no_policy_is_refused(three: PolicyFit, changed: dict[str, np.ndarray], says: str) -> None:
    """A word of what is wrong, and no other error."""
    with pytest.raises(ValueError, match=says):
        from_state({**three.fitted.state(), **changed}, "p.npz")


def test_numbers_mean_what_files_were_fitted_on() -> None:
    """A file outlives the version of streamroute that wrote it. Where this fails, what a number of the features means
    has changed: raise the number in `fitted_policy._KIND`, so that such files are refused, and write the new digest
    here."""
    sure, unsure = (Draft(text=text.format(12345), finish_reason="stop") for text in (SURE, UNSURE))
    question = question_vector("Which of 12 rivers is longer, é?", "rivers")
    numbers = [question, answer_vector(question, f"{sure.text} {'x ' * 4000}")]
    known = Seen(
        question=np.array([1.0, 2.0, 3.0, 4.0]),
        domain="sums",
        answers={0: np.array([5.0, 6.0]), 1: np.array([7.0, 8.0])},
        signals={at: signals(answer_of(each, assess(each, Wanted()))) for at, each in enumerate((sure, unsure))},
        agreement={(0, 1): True},
    )
    stages: list[Stage] = [(), (0,), (0, 1)]
    found = [np.concatenate([each.ids, np.round(each.values * 1e4)]) for each in numbers]
    found += [np.round(features(known, stage, ["law", "sums"]) * 1e4) for stage in stages]
    found.append(np.round(answer_features(known, 0) * 1e4))
    assert sha256(np.concatenate(found).astype(np.int64).tobytes()).hexdigest()[:16] == "c7d0b0ebb374b19c"


def test_too_little_is_refused() -> None:
    """How much there is of each tier, and why rows were left out."""
    rows = world()[:150]
    rows += [replace(row, query_id=f"{row.query_id}x", outcomes={"large": row.outcomes["large"]}) for row in rows[:100]]
    rows.append(rows[0])
    wordless = replace(rows[1].outcomes["small"], answer=Answer(text=""), draft=None)
    rows.append(replace(rows[1], query_id="w", outcomes={**rows[1].outcomes, "small": wordless}))
    rows.append(replace(rows[1], query_id="o", outcomes={"other": wordless}))
    with pytest.raises(FitError, match=r"only 150 questions .* 200 are the least") as error:
        fit_policy(rows, [["small"], ["large"]], 1.0, "p.npz")
    assert "outcomes: small 150, large 250" in str(error.value)
    for reason in ("the question was there before", "no tier was asked it", "the answer of small is not there"):
        assert f"1 left out: {reason}" in str(error.value)


def test_what_cannot_be_kept_or_saved_is_refused() -> None:
    """No more quality than there is; nothing where the small model costs as much as the large one."""
    with pytest.raises(FitError, match=r"no policy keeps 1\.5"):
        fit_policy(world(), [["small"], ["large"]], 1.5, "p.npz")
    with pytest.raises(FitError, match="nothing is saved"):
        fit_policy(world(small=0.002), [["small"], ["large"]], 0.99, "p.npz")
    with pytest.raises(FitError, match="never costs anything"):
        fit_policy(world(large=0.0), [["small"], ["large"]], 0.99, "p.npz")


def test_a_name_is_that_of_the_first_upstream() -> None:
    """Others of a tier are the same model elsewhere."""
    found = fit_policy(world(), [["small", "small-2"], ["large"]], 0.99, "p.npz").fitted
    assert [found.place_of(name) for name in ("small", "small-2", "large", "other")] == [0, 0, 1, None]
    assert json.loads(found.state()["about"].tobytes())["tiers"] == [["small", "small-2"], ["large"]]


def test_a_check_of_zero_says_that_an_answer_is_unusable() -> None:
    """Only of those that are no opinion."""
    for name, is_so in (("form", True), ("arguments", True), ("completeness", True), ("refusal", False)):
        assert Verdict(score=0.0, findings={name: Finding(0.0, "x")}).is_unusable is is_so
    assert not Verdict(score=0.3, findings={"form": Finding(0.3, "x")}).is_unusable
