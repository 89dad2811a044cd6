"""Files of recorded outcomes, from which tier policies are fitted.

`*.jsonl`, maybe packed (`.gz`): one question a line.

    {"question": "...", "domain": "math", "id": "...",
     "outcomes": {"small": {"answer": "...", "score": 1, "cost_usd": 0.0001},
                  "large": {"score": 0.5, "input_tokens": 120, "output_tokens": 300}}}

`NAME.queries.jsonl.gz`: a data set of three files, with `NAME.outcomes.csv.gz` and `NAME.outputs.jsonl.gz` beside it
(bench/routing_lab/data.py).
"""

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from streamroute.core.quality.signals import Answer
from streamroute.core.quality.verdict import Draft
from streamroute.core.routing.learned.outcome_rows import Outcome, Row
from streamroute.errors import StoreError

QUERIES = ".queries.jsonl.gz"
Priced = Callable[[str, int, int], float | None]
"""What a model (by its name) charges for tokens read and written, US dollars; None: nobody knows."""


_MOST = 1e9
"""US dollars or tokens of one answer: more is a mistake, and would swallow all others in a sum."""


class _ShapeError(ValueError):
    """A line is of another shape."""


def read_outcomes(path: Path, priced: Priced) -> list[Row]:
    """Return the rows of a file; StoreError, which names the line, where it cannot be read. Blocks."""
    try:
        if path.name.endswith(QUERIES):
            path.stat()  # those beside it may be missing, it must not
            return list(data_set(path.parent, path.name.removesuffix(QUERIES)))
        return list(_rows(path, priced))
    except FileNotFoundError as error:
        raise StoreError(f"there is no file {error.filename}") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    except KeyError as error:
        raise StoreError(f"{path} or a file beside it lacks {error}") from None
    except TypeError as error:
        raise StoreError(f"{path} or a file beside it has a line of another shape: {error}") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: {error}") from None


def data_set(folder: Path, name: str) -> Iterator[Row]:
    """Give the rows of a data set of three files; KeyError or ValueError: they are of another shape."""
    texts = {(each["query_id"], each["model"]): each["text"] for each in lines(folder / f"{name}.outputs.jsonl.gz")}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for each in table(folder / f"{name}.outcomes.csv.gz"):
        key = each["query_id"], each["model"]
        outcomes.setdefault(key[0], {})[key[1]] = _recorded(each, texts.get(key, ""))
    for each in lines(folder / f"{name}{QUERIES}"):
        found = outcomes.get(each["query_id"])
        if found:
            yield Row(
                dataset=name,
                query_id=_text(each, "query_id"),
                domain=_text(each, "domain", ""),
                text=_text(each, "prompt"),
                outcomes=found,
            )


def _recorded(each: Mapping[str, str], text: str) -> Outcome:
    is_well_formed = each["format_ok"] == "1"
    says, score, cost = each["answer"], float(each["score"]), float(each["cost_usd"])
    if not (0.0 <= score <= 1.0 and 0.0 <= cost <= _MOST):
        raise ValueError(
            f"the answer of {each['model']} to {each['query_id']} has the score {score:g} and the cost_usd {cost:g}"
        )
    return Outcome(
        score=score,
        cost_usd=cost,
        answer=Answer(
            text=text or "",
            conclusion=says if says or is_well_formed else None,
            is_well_formed=is_well_formed,
            is_truncated=each["truncated"] == "1",
            is_refusal=each["refusal"] == "1",
        ),
    )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines, packed or not; nothing where there is none."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def table(path: Path) -> Iterator[dict[str, str]]:
    """Read a packed CSV file; nothing where there is none."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def _checked(path: Path) -> Iterator[tuple[int, Any]]:
    """Give the lines of a file with their numbers; blank ones are passed over."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ValueError(f"line {number}: it is not JSON: {error}") from None


def _rows(path: Path, priced: Priced) -> Iterator[Row]:
    for number, each in _checked(path):
        try:
            yield _row(each, priced)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None


def _row(each: Any, priced: Priced) -> Row:
    question, domain = _text(each, "question"), _text(each, "domain", "").strip().lower()
    given = each.get("outcomes")
    if not isinstance(given, Mapping) or not given:
        raise _ShapeError("`outcomes` must be an object with one entry a model")
    return Row(
        dataset="",
        query_id=_text(each, "id", "") or hashlib.sha256(f"{domain}\n{question}".encode()).hexdigest(),
        domain=domain,
        text=question,
        outcomes={name: _outcome(name, outcome, priced) for name, outcome in given.items()},
    )


def _outcome(name: str, given: object, priced: Priced) -> Outcome:
    if not isinstance(given, Mapping):
        raise _ShapeError(f"the outcome of {name} must be an object")
    score = _number(given, "score", f"the score of {name}")
    if score is None or score > 1.0:
        raise ValueError(f"the score of {name} must be a number 0..1")
    cost = _number(given, "cost_usd", f"the cost_usd of {name}")
    if cost is None:
        tokens = [_number(given, key, f"{key} of {name}") for key in ("input_tokens", "output_tokens")]
        if None in tokens:
            raise ValueError(f"the outcome of {name} needs cost_usd, or input_tokens and output_tokens")
        cost = priced(name, *[int(each or 0) for each in tokens])
        if cost is None:
            raise ValueError(f"there is no price of {name} for its tokens; give cost_usd, or the upstream a `price`")
    text = given.get("answer")
    if text is None:
        return Outcome(score=score, cost_usd=cost, answer=Answer(text=""))
    if not isinstance(text, str):
        raise _ShapeError(f"the answer of {name} must be text")
    draft = Draft(text=text, finish_reason=_text(given, "finish_reason", "stop"))
    return Outcome(score=score, cost_usd=cost, answer=Answer(text=text), draft=draft)


def _text(of: object, key: str, default: str | None = None) -> str:
    found = of.get(key, default) if isinstance(of, Mapping) else None
    if not isinstance(found, str) or (default is None and not found.strip()):
        raise ValueError(f"`{key}` must be text")
    if any("\ud800" <= char <= "\udfff" for char in found):
        raise ValueError(f"`{key}` has half of a character: a surrogate without the other one")
    return found


def _number(of: Mapping[str, object], key: str, what: str) -> float | None:
    found = of.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _MOST:
        raise ValueError(f"{what} must be a number of at least 0, and at most {_MOST:g}")
    return float(found)
