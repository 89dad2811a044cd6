"""The routing benchmark on a small made-up folder: what it reads, what it counts, what it prints."""

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import routing
from routing_lab.data import DataMissingError, Source, is_validation, rows
from routing_lab.metrics import auroc, call_share_metrics, ideal, mixed, report, saving_at
from routing_lab.picture import draw
from routing_lab.stream import Fitted, walk
from routing_lab.unseen import MISTAKEN

from streamroute.core.routing.learned.fitting import Curve
from streamroute.core.routing.learned.outcome_rows import folds
from streamroute.core.routing.learned.served import always, ratio_interval
from streamroute.core.routing.learned.tier_policy import Outcomes, Replay, TierPolicy

TIERS = ["small", "middle", "large"]
PRICES = (0.1, 0.5, 1.0)
FIELDS = "query_id model score input_tokens output_tokens cost_usd latency_s format_ok truncated refusal hedges answer"
FIGURES = {
    "pool", "split", "policy", "n", "quality", "quality_ratio", "quality_ratio_ci", "saving", "tier_shares",
    "oracle_tier_shares", "efficiency",
}  # fmt: skip
POLICIES = ["always_small", "always_large", "random_mix", "oracle", "router", "cascade", "hybrid", "adaptive"]


def write(folder: Path, dataset: str, domains: list[str], many: int, seed: int) -> None:
    """A question is easy or hard by its words; on hard ones the small models fail, and say that they are not sure."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    queries, outcomes, outputs = [], [], []
    for i in range(many):
        is_hard = rng.random() < 0.35
        query = {"dataset": dataset, "query_id": f"{dataset}-{seed}-{i}", "domain": domains[i % len(domains)]}
        words = "prove the deep conjecture" if is_hard else "add these two numbers"
        queries.append({**query, "prompt": f"{words} {rng.choice(['now', 'here', 'please'])} {i}"})
        for tier, model in enumerate(TIERS):
            is_right = rng.random() < (0.95 if tier == 2 or not is_hard else 0.15)
            answer = str(i) if is_right else str(-rng.randrange(10**6))
            outcomes.append(
                [query["query_id"], model, float(is_right), 50, 20, PRICES[tier] / 1000, "", 1, 0, 0, 0, answer]
            )
            if tier < 2:
                text = f"so the answer is {answer}" if is_right else f"however, unclear, probably {answer}"
                outputs.append({"query_id": query["query_id"], "model": model, "text": text})
    for name, lines in (("queries", queries), ("outputs", outputs)):
        with gzip.open(folder / f"{dataset}.{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    with gzip.open(folder / f"{dataset}.outcomes.csv.gz", "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([FIELDS.split(), *outcomes])


def write_tickets(folder: Path) -> None:
    """Every question is a ticket; its domain says of which kind."""
    strata = {"alpha": "simple", "beta": "moderate", "law": "complex", "philosophy": "edge"}
    with (folder / "tickets_made_up.jsonl").open("w") as file:
        for row in rows(folder, ["mmlu_pro"]):
            ticket = {"stratum": strata.get(row.domain, "simple"), "dataset": row.dataset, "query_id": row.query_id}
            file.write(json.dumps(ticket) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the real one is, small."""
    root = tmp_path_factory.mktemp("data")
    spec = {"tiers": TIERS, "datasets": ["mmlu_pro"]}
    pair = {"tiers": [TIERS[0], TIERS[2]], "datasets": ["routellm_mmlu"]}
    (root / "pools.json").write_text(json.dumps({"A2": spec, "O": spec, "R": pair}))
    write(root / "train", "mmlu_pro", ["alpha", "beta", "law", "philosophy"], 480, seed=1)  # 120 a domain
    write(root / "train", "routellm_mmlu", ["alpha"], 200, seed=2)
    write(root / "other", "mmlu_pro", ["alpha", "beta", "gamma"], 240, seed=3)
    write_tickets(root / "train")
    write_tickets(root / "other")
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, Any]]:
    """What `--json` prints."""
    assert routing.main([*map(str, arguments), "--json", "--fast"]) == 0
    lines: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return lines


_RUNS: dict[tuple[str, ...], list[dict[str, Any]]] = {}


def run_once(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, Any]]:
    """The same, of a run that another test may have made: some take seconds."""
    key = tuple(map(str, arguments))
    if key not in _RUNS:
        _RUNS[key] = run(capsys, *arguments)
    return _RUNS[key]


@pytest.mark.parametrize("split", ["validation", "train", "other"])
def test_a_pool_has_a_line_a_policy(data: Path, capsys: pytest.CaptureFixture[str], split: str) -> None:
    """Fitted on train, applied to the split: every policy with the same figures; in a world where answers show what
    they are worth, the cascade saves a lot and loses nothing."""
    lines = {line["policy"]: line for line in run_once(capsys, "--pool", "A2", "--data", data, "--split", split)}
    assert list(lines) == POLICIES
    for line in lines.values():
        assert set(line) >= FIGURES
        assert sum(line["tier_shares"]) == pytest.approx(1.0, abs=1e-3)
        assert line["quality_ratio_ci"][0] <= line["quality_ratio"] + 1e-3
    assert lines["always_large"]["quality_ratio"] == 1.0
    assert lines["always_large"]["saving"] == 0.0
    assert lines["always_small"]["saving"] == pytest.approx(0.9)
    assert lines["cascade"]["saving"] > 0.35
    assert lines["cascade"]["quality_ratio"] > 0.93
    assert lines["oracle"]["quality_ratio"] >= max(line["quality_ratio"] for line in lines.values())
    assert sum(lines[kind]["is_chosen"] for kind in ("router", "cascade", "hybrid")) == 1
    assert set(lines["hybrid"]["operating_points"]) == {"quality", "balanced", "economy"}


def test_unseen_domains_of_a_split_are_kept_apart(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fixed policies are measured where they were fitted, 160 of 240 questions; the guarded one on all, and on either
    part."""
    lines = {line["policy"]: line for line in run_once(capsys, "--pool", "A2", "--data", data, "--split", "other")}
    assert {line["n"] for policy, line in lines.items() if policy != "adaptive"} == {160}
    guarded = lines["adaptive"]
    assert (guarded["n"], guarded["seen_domains"]["n"], guarded["unseen_domains"]["n"]) == (240, 160, 80)
    assert guarded["unseen_domains"]["quality_ratio"] > 0.97


def test_a_run_is_the_same_twice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Splits go by hash and every draw by a seed."""
    arguments = ("--pool", "O", "--data", data)
    assert run(capsys, *arguments) == run(capsys, *arguments)


@pytest.mark.parametrize("split", ["validation", "other"])
def test_tickets_come_in_their_mix(data: Path, capsys: pytest.CaptureFixture[str], split: str) -> None:
    """The strata of train stand for the mix; another folder names its own tickets."""
    lines = run(capsys, "--pool", "tickets", "--data", data, "--split", split)
    assert [line["policy"] for line in lines] == POLICIES
    assert {line["pool"] for line in lines} == {"tickets"}


def test_tickets_without_their_questions_are_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder whose tickets name other questions measures nothing, and does not fail in the middle of it."""
    write(tmp_path / "strange", "mmlu_pro", ["alpha"], 20, seed=9)
    ticket = {"stratum": "simple", "dataset": "mmlu_pro", "query_id": "gone"}
    (tmp_path / "strange" / "tickets_x.jsonl").write_text(json.dumps(ticket) + "\n")
    arguments = ["--pool", "tickets", "--data", str(data), "--split", str(tmp_path / "strange"), "--fast"]
    assert routing.main(arguments) == 2
    assert "tickets" in capsys.readouterr().err


@pytest.mark.parametrize(("split", "names"), [("validation", ["law+philosophy"]), ("other", ["gamma"])])
def test_unseen_domains_are_held_out(
    data: Path, capsys: pytest.CaptureFixture[str], split: str, names: list[str]
) -> None:
    """Those of the split that train has not, else some of train's own; a fixed threshold beside the guarded one, and
    what comes of mistaking them for others."""
    lines = run(capsys, "--pool", "unseen", "--data", data, "--split", split)
    assert [(line["domains"], line["policy"]) for line in lines if "leave_one_out" not in line] == [
        (name, policy) for name in names for policy in ("cascade", "adaptive", *MISTAKEN)
    ]
    assert all(set(line) >= FIGURES for line in lines)


def test_every_domain_is_left_out_once(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with questions enough, each served by what the others teach."""
    monkeypatch.setattr("routing_lab.unseen._FEWEST", 100)
    lines = run(capsys, "--pool", "unseen", "--data", data)
    names = [line["domains"] for line in lines if line.get("leave_one_out")]
    assert names == ["mmlu_pro/alpha", "mmlu_pro/beta", "mmlu_pro/law", "mmlu_pro/philosophy"]


def test_call_shares_are_by_rank(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a world where words tell, half of the gap is had for well under half of the calls."""
    (line,) = run(capsys, "--pool", "routellm", "--data", data)
    assert line["apgr"] > 0.65
    assert line["cpt50"] < 0.4
    assert line["cpt50"] <= line["cpt80"]


def test_results_are_kept_with_where_they_come_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with machine and commit, a picture a pool, and a table for people."""
    output = tmp_path / "routing.json"
    arguments = ["--pool", "O", "--data", str(data), "--fast", "--output", str(output), "--pictures", str(tmp_path)]
    assert routing.main(arguments) == 0
    kept = json.loads(output.read_text())
    assert {"cpu", "git_commit", "command"} <= set(kept["run"])
    assert str(data) not in kept["run"]["command"]
    assert [line["policy"] for line in kept["results"]] == POLICIES
    picture = (tmp_path / "routing_O.svg").read_text()
    assert picture.count("<polyline") == 3
    assert "hybrid" in capsys.readouterr().out


def test_of_all_that_can_be_measured_what_has_no_data_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named on stderr, the rest is measured; asked for by its name it is an error."""
    (tmp_path / "train").mkdir()
    (tmp_path / "pools.json").write_text(json.dumps({"A2": {"tiers": ["small"], "datasets": ["none"]}}))
    with gzip.open(tmp_path / "train" / "banking77_train.csv.gz", "wt", encoding="utf-8") as file:
        file.write("text,category\n" + "".join(f"card {at},cards\nrice {at},food\n" for at in range(40)))
    monkeypatch.setattr(routing, "POOLS", {})
    monkeypatch.setattr(routing, "STUDIES", {"domains": None, "online": None})
    assert routing.main(["--data", str(tmp_path), "--fast", "--json"]) == 0
    captured = capsys.readouterr()
    assert [line["set"] for line in json.loads(captured.out)] == ["banking77 intents"]
    assert "online: no requests" in captured.err
    assert routing.main(["--data", str(tmp_path), "--fast", "--pool", "online"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "nowhere"], "no folder"),
        (["--data", "DATA", "--split", "elsewhere"], "no folder 'elsewhere'"),
        (["--data", "EMPTY"], "no pools.json"),
        (["--data", "BARE"], "no questions of mmlu_pro"),
    ],
)
def test_what_is_missing_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """Exit code 2 and what to look for, no traceback."""
    (tmp_path / "empty" / "train").mkdir(parents=True)
    (tmp_path / "bare" / "train").mkdir(parents=True)
    (tmp_path / "bare" / "pools.json").write_text((data / "pools.json").read_text())
    places = {"DATA": str(data), "EMPTY": str(tmp_path / "empty"), "BARE": str(tmp_path / "bare")}
    assert routing.main(["--pool", "A2", *[places.get(each, each) for each in arguments]]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_rows_hold_what_was_recorded(data: Path) -> None:
    """Questions with what each model answered; a quarter is for validation, and folds are even."""
    found = rows(Source(data).folder("train"), ["mmlu_pro"])
    assert len(found) == 480
    assert found[0].kind == "mmlu_pro/alpha"
    assert found[0].outcomes["small"].cost_usd == pytest.approx(0.0001)
    assert found[0].is_complete(TIERS)
    assert not found[0].is_complete([*TIERS, "absent"])
    assert 0.18 < np.mean([is_validation(row) for row in found]) < 0.32
    assert np.bincount(folds(found, 5), minlength=5).min() > 60
    with pytest.raises(DataMissingError, match="no folder 'gone'"):
        Source(data).folder("gone")


SCORES = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
COSTS = np.tile([1.0, 3.0, 10.0], (4, 1))
WORLD = Outcomes(scores=SCORES, costs_usd=COSTS)
ONCE = np.ones(4)


def test_the_oracle_takes_the_cheapest_right_answer() -> None:
    """Small, middle, large, and small where nobody is right; at the large model's quality all of that is needed."""
    best = ideal(WORLD, ONCE)
    assert best.served.by_tier.argmax(axis=1).tolist() == [0, 1, 2, 0]
    assert best.served.quality.sum() == 3.0
    assert best.saving == pytest.approx(1 - 15 / 40)


def test_a_report_weighs_requests() -> None:
    """Three times as many of the first: the small model is right in three of six, the large one in five."""
    found = report(always(WORLD, 0), WORLD, ideal(WORLD, ONCE), np.array([3.0, 1.0, 1.0, 1.0]))
    assert found["quality"] == 0.5
    assert found["quality_ratio"] == 0.6
    assert found["saving"] == 0.9
    assert found["tier_shares"] == [1.0, 0.0, 0.0]


def test_a_mix_is_between_its_ends() -> None:
    """A quarter to the large model: a quarter of the way in quality and cost."""
    served = mixed(WORLD, 0.25)
    assert served.quality.mean() == pytest.approx(0.75 * 0.25 + 0.25 * 0.75)
    assert served.cost_usd.mean() == pytest.approx(0.75 * 1.0 + 0.25 * 10.0)
    assert served.shares.tolist() == [0.75, 0.0, 0.25]


def test_the_interval_of_a_ratio() -> None:
    """Two of the same have no doubt between them; of independent ones of 400 the ratio has a standard error of .046."""
    rng = np.random.default_rng(1)
    one, two = (rng.random((2, 400)) < 0.7).astype(np.float64)
    assert ratio_interval(one, one, np.ones(400)) == (1.0, 1.0)
    low, high = ratio_interval(one, two, np.ones(400))
    assert low < one.mean() / two.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.046, rel=0.3)


def test_savings_between_points_are_mixed() -> None:
    """Halfway between a ratio of .9 and one of 1.1 is 1.0."""
    assert saving_at([(0.8, 0.9), (0.2, 1.1)], 1.0) == pytest.approx(0.5)
    assert saving_at([(0.8, 0.9)], 1.0) is None
    assert saving_at([(0.3, 1.0), (0.4, 1.05)], 1.0) == 0.4


def test_call_share_metrics_by_hand() -> None:
    """The two questions that only the strong model can answer first: half the calls have the whole gap."""
    weak, strong = np.array([1.0, 1.0, 0.0, 0.0]), np.ones(4)
    found = call_share_metrics(np.array([0.0, 0.1, 0.9, 0.8]), weak, strong)
    assert found == {"apgr": 0.75, "cpt50": 0.25, "cpt80": 0.5}


def test_auroc_by_hand() -> None:
    """Three of four pairs in the right order."""
    assert auroc(np.array([0.1, 0.4, 0.3, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])) == 0.75
    assert auroc(np.array([0.1, 0.4]), np.array([1.0, 1.0])) == 0.5


def test_the_price_with_the_largest_saving_of_those_that_keep_the_ratio() -> None:
    """Where none keeps it, that with the highest ratio; and such a curve counts for less than any saving."""
    nothing = Replay(quality=np.zeros((1, 3)), cost_usd=np.zeros((1, 3)), tier=np.zeros((1, 3), np.intp))
    curve = Curve(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.5, 0.7]), np.array([1.02, 1.01, 0.97]), nothing)
    assert curve.price_for(1.0) == 1.0
    assert curve.price_for(1.1) == 0.0
    assert curve.saving_for(1.1) < -1.0


def test_two_prices_are_mixed_where_the_ratio_falls_in_steps() -> None:
    """From 1.01 to .97 it is a quarter of the way down to 1.0, and of the way from .5 to .7 saved; at 1.01 itself there
    is nothing to mix, and above 1.02 nothing to be had."""
    nothing = Replay(quality=np.zeros((1, 3)), cost_usd=np.zeros((1, 3)), tier=np.zeros((1, 3), np.intp))
    curve = Curve(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.5, 0.7]), np.array([1.02, 1.01, 0.97]), nothing)
    assert curve.mix_for(1.0) == (1.0, 2.0, pytest.approx(0.25))
    assert curve.saving_for(1.0) == pytest.approx(0.55)
    assert curve.mix_for(1.01)[2] == pytest.approx(0.0)
    assert curve.saving_for(1.01) == 0.5
    assert curve.mix_for(1.03) == (0.0, 0.0, 0.0)


def test_a_walk_pays_for_every_attempt() -> None:
    """The small answer is not good enough, the middle one is, unless caution says otherwise; its margin is .2."""
    utilities = {
        (): np.array([[1.0, 0.0, 0.0]]),
        (0,): np.array([[0.1, 0.8, 0.2]]),
        (0, 1): np.array([[0.1, 0.7, 0.5]]),
    }
    fitted = Fitted(TierPolicy(3, "hybrid"), utilities, range(3))
    costs = np.array([1.0, 3.0, 10.0])
    trusting, careful = walk(fitted, 0.0, 0, costs), walk(fitted, 0.3, 0, costs)
    assert (trusting.tier, trusting.is_accepted, trusting.cost_usd) == (1, True, 4.0)
    assert (careful.tier, careful.is_accepted, careful.cost_usd) == (1, False, 4.0)
    assert trusting.margin == careful.margin == pytest.approx(0.2)


def test_a_router_delivers_whom_it_asks() -> None:
    """There is no second look: the margin is that over asking the large model at once."""
    fitted = Fitted(TierPolicy(3, "router"), {(): np.array([[0.1, 0.7, 0.5]])}, range(3))
    costs = np.array([1.0, 3.0, 10.0])
    trusting, careful = walk(fitted, 0.0, 0, costs), walk(fitted, 0.3, 0, costs)
    assert (trusting.tier, trusting.is_accepted, trusting.cost_usd) == (1, True, 3.0)
    assert trusting.margin == pytest.approx(0.2)
    assert (careful.tier, careful.is_accepted, careful.cost_usd) == (None, False, 0.0)


def test_no_curve_no_picture() -> None:
    """A study without prices has nothing to draw."""
    assert draw("unseen", [{"policy": "cascade", "saving": 0.1, "quality_ratio": 1.0}]) is None
