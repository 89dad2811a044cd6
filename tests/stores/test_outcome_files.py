"""Files of recorded outcomes: what is read, and what is said of a line that cannot be."""

import gzip
import json
from pathlib import Path

import pytest

from streamroute.errors import StoreError
from streamroute.stores.outcome_files import read_outcomes

LINE = {
    "question": "What is 17 % of 340?",
    "domain": " Math ",
    "outcomes": {
        "small": {"answer": "Answer: 57.8", "score": 1, "cost_usd": 0.5, "finish_reason": "length"},
        "large": {"score": 0.5, "input_tokens": 100, "output_tokens": 10},
    },
}


def price(name: str, input_tokens: int, output_tokens: int) -> float | None:
    return (input_tokens + 2 * output_tokens) / 1e6 if name == "large" else None


def test_a_line_is_a_question_with_its_outcomes(tmp_path: Path) -> None:
    """Costs as they are, or by tokens; a domain as clients' are read; packed or not; blank lines are nothing."""
    text = json.dumps(LINE) + "\n\n"
    (tmp_path / "o.jsonl").write_text(text)
    with gzip.open(tmp_path / "o.jsonl.gz", "wt") as file:
        file.write(text)
    [row], [packed] = (read_outcomes(tmp_path / name, price) for name in ("o.jsonl", "o.jsonl.gz"))
    assert row == packed
    assert (row.text, row.kind, row.dataset) == ("What is 17 % of 340?", "math", "")
    small, large = row.outcomes["small"], row.outcomes["large"]
    assert small.draft is not None
    assert (small.score, small.cost_usd, small.draft.text, small.draft.finish_reason) == (
        1.0, 0.5, "Answer: 57.8", "length"
    )  # fmt: skip
    assert (large.score, large.cost_usd, large.draft) == (0.5, pytest.approx(0.00012), None)


def test_a_question_is_told_from_others_by_its_words_or_its_id(tmp_path: Path) -> None:
    """Two of the same words are one, unless they say otherwise."""
    lines = [LINE, LINE, {**LINE, "id": "7"}, {**LINE, "domain": "law"}]
    (tmp_path / "o.jsonl").write_text("\n".join(map(json.dumps, lines)))
    hashes = [row.hash for row in read_outcomes(tmp_path / "o.jsonl", price)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def outcomes(**changed: object) -> dict[str, object]:
    return {**LINE, "outcomes": {"small": {**LINE["outcomes"]["small"], **changed}}}  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2: it is not JSON"),
        ("7", "line 2: `question` must be text"),
        ({**LINE, "question": " "}, "line 2: `question` must be text"),
        ({**LINE, "domain": 7}, "line 2: `domain` must be text"),
        ({**LINE, "outcomes": []}, "line 2: `outcomes` must be an object"),
        ({**LINE, "outcomes": {"small": 1}}, "line 2: the outcome of small must be an object"),
        (outcomes(score=None), "line 2: the score of small must be a number 0..1"),
        (outcomes(score=2), "line 2: the score of small must be a number 0..1"),
        (outcomes(score=True), "line 2: the score of small must be a number"),
        (outcomes(cost_usd=-1), "line 2: the cost_usd of small must be a number of at least 0"),
        (outcomes(cost_usd=None), "line 2: the outcome of small needs cost_usd, or input_tokens and output_tokens"),
        (outcomes(cost_usd=None, input_tokens=1, output_tokens=1), "line 2: there is no price of small"),
        (outcomes(answer=7), "line 2: the answer of small must be text"),
        (outcomes(cost_usd=10**400), "line 2: the cost_usd of small must be a number of at least 0, and at most 1e+09"),
        (outcomes(cost_usd=None, input_tokens=1e300), "line 2: input_tokens of small must be a number"),
        (f'{{"question": {"1" * 5000}}}', "line 2: it is not JSON"),
        ({**LINE, "domain": "\ud800"}, "line 2: `domain` has half of a character"),
        ({**LINE, "id": "\udfff"}, "line 2: `id` has half of a character"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, says: str) -> None:
    """With its number and what is wrong."""
    text = line if isinstance(line, str) else json.dumps(line)
    (tmp_path / "o.jsonl").write_text(f"{json.dumps(LINE)}\n{text}\n")
    with pytest.raises(StoreError) as error:
        read_outcomes(tmp_path / "o.jsonl", price)
    assert says in str(error.value)
    assert "o.jsonl" in str(error.value)


def test_what_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    """No traceback for a name mistyped, or a file that is packed by its name alone."""
    (tmp_path / "o.jsonl.gz").write_text("no gzip")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\x00")
    for name, says in (
        ("gone.jsonl", "there is no file"),
        ("gone.queries.jsonl.gz", "there is no file"),
        ("o.jsonl.gz", "cannot be read"),
        ("b.jsonl", "cannot be read"),
    ):
        with pytest.raises(StoreError, match=says):
            read_outcomes(tmp_path / name, price)


def test_a_data_set_of_three_files(tmp_path: Path) -> None:
    """Its domains are apart from those of others; what was kept of answers is read."""
    header = (
        "query_id,model,score,input_tokens,output_tokens,cost_usd,latency_s,format_ok,truncated,refusal,hedges,answer"
    )
    files = {
        "x.queries.jsonl.gz": json.dumps({"query_id": "1", "domain": "law", "prompt": "Why?", "dataset": "x"}),
        "x.outcomes.csv.gz": f"{header}\n1,m,0.5,1,1,0.25,1,1,1,0,0,C\n",
        "x.outputs.jsonl.gz": json.dumps({"query_id": "1", "model": "m", "text": "Because."}),
    }
    for name, text in files.items():
        with gzip.open(tmp_path / name, "wt") as file:
            file.write(text + "\n")
    [row] = read_outcomes(tmp_path / "x.queries.jsonl.gz", price)
    assert (row.kind, row.text, row.outcomes["m"].cost_usd) == ("x/law", "Why?", 0.25)
    answer = row.outcomes["m"].answer
    assert (answer.text, answer.conclusion, answer.is_truncated) == ("Because.", "C", True)
    (tmp_path / "x.outcomes.csv.gz").write_bytes(gzip.compress(b"query_id,model\n1,m\n"))
    with pytest.raises(StoreError, match="lacks"):
        read_outcomes(tmp_path / "x.queries.jsonl.gz", price)


DATA_SET = {
    "x.queries.jsonl.gz": '{"query_id": "1", "domain": "law", "prompt": "Why?"}',
    "x.outcomes.csv.gz": "query_id,model,score,cost_usd,format_ok,truncated,refusal,answer\n1,m,0.5,0.25,1,1,0,C",
    "x.outputs.jsonl.gz": '{"query_id": "1", "model": "m", "text": "Because."}',
}


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("x.outcomes.csv.gz", DATA_SET["x.outcomes.csv.gz"].replace("0.5", "nan"), "has the score nan"),
        ("x.outcomes.csv.gz", DATA_SET["x.outcomes.csv.gz"].replace("0.25", "inf"), "the cost_usd inf"),
        ("x.outcomes.csv.gz", DATA_SET["x.outcomes.csv.gz"].replace("0.5", "17"), "has the score 17"),
        ("x.outcomes.csv.gz", DATA_SET["x.outcomes.csv.gz"].replace("0.5", "half"), "could not convert"),
        ("x.outcomes.csv.gz", "query_id,model,format_ok,answer,score\n1,m,1,C", "of another shape"),
        ("x.queries.jsonl.gz", "[1]", "of another shape"),
        ("x.queries.jsonl.gz", '{"query_id": ["1"], "domain": "law", "prompt": "Why?"}', "of another shape"),
        ("x.queries.jsonl.gz", '{"query_id": "1", "domain": null, "prompt": "Why?"}', "`domain` must be text"),
        ("x.queries.jsonl.gz", '{"query_id": "1", "domain": "law", "prompt": null}', "`prompt` must be text"),
        ("x.outputs.jsonl.gz", "[" * 100_000, "recursion"),
    ],
)
def test_a_bad_data_set_is_no_traceback(tmp_path: Path, file: str, text: str, says: str) -> None:
    """What is no number, no text or of another shape is said of the file; nothing of it is fitted on."""
    for name, good in DATA_SET.items():
        (tmp_path / name).write_bytes(gzip.compress((text if name == file else good).encode() + b"\n"))
    with pytest.raises(StoreError, match=says):
        read_outcomes(tmp_path / "x.queries.jsonl.gz", price)
