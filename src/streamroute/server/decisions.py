"""`/status/decisions`: why requests went where they went; and the dry run, `x-streamroute-explain: 1`.

    GET /status/decisions         the latest 50, newest first, a line each
    GET /status/decisions/{id}    one of the latest 1000, with how each upstream stood and what came of the attempts

Every reply to a chat request says its id in `x-streamroute-decision-id`, a refusal too where it was decided that no
upstream will do. A chat request with the header `x-streamroute-explain: 1` is answered with what would be decided now,
and calls nobody. Prompts, answers and keys are in none of these.
"""

import uuid

from aiohttp import web

from streamroute.clock import now, wall, wall_iso
from streamroute.core.cost.bill import Bill
from streamroute.core.money import usd_text
from streamroute.core.routing.decision_log import DecisionLog, DecisionRecord, Made
from streamroute.core.routing.explain import explain, explain_call, explain_quality, summary
from streamroute.engine.dispatcher import Foresight
from streamroute.errors import RequestError
from streamroute.server.replies import json_reply

DECISION_ID = "x-streamroute-decision-id"
DECISIONS_SHOWN = 50

_EXPLAIN = "x-streamroute-explain"


def decision_id() -> str:
    """Return a new id: ours, for a request's own may be the client's and come twice."""
    return f"dec_{uuid.uuid4().hex}"


def wants_explanation(request: web.BaseRequest) -> bool:
    """Return whether a chat request asks only what would be decided; raises RequestError for an unclear header."""
    value = request.headers.get(_EXPLAIN, "0").strip().lower()
    if value not in {"0", "1", "false", "true"}:
        raise RequestError(f"The header `{_EXPLAIN}` must be 0 or 1; found {value[:40]!r}.")
    return value in {"1", "true"}


def dry_run(foresight: Foresight) -> dict[str, object]:
    """Return the explanation of a decision that is not carried out."""
    document = explain(foresight.decision, now(), hedge_after_s=foresight.hedge_after_s, deadlines=foresight.deadlines)
    return {"is_dry_run": True, "at": wall_iso(wall()), "refusal": foresight.refusal, **document}


def decisions_reply(log: DecisionLog, path: str, headers: dict[str, str]) -> web.Response:
    """Answer a GET of `/status/decisions` or of what is below it; raises RequestError 404."""
    headers = {**headers, "Cache-Control": "no-store"}
    id_ = path.removeprefix("/status/decisions").removeprefix("/")
    if not id_:
        latest = [_line(record) for record in log.latest(DECISIONS_SHOWN)]
        return json_reply({"kept": len(log), "decisions": latest}, headers=headers)
    record = log.get(id_)
    if record is None:
        raise RequestError(
            f"There is no decision {id_[:100]!r}; the latest {log.size} are kept, and none across a restart.",
            status=404,
            code="decision_not_found",
        )
    document = {
        "id": record.id,
        "at": _moment(record),
        **explain(record.decision, record.at, hedge_after_s=record.hedge_after_s),
        **_end(record),
        "refusal": record.refusal,
        "cost_usd": _cost(record),
        "attempts": [explain_call(each) for each in record.calls],
        "quality": [explain_quality(each) for each in record.outcomes],
    }
    return json_reply(document, headers=headers)


def _line(record: DecisionRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "at": _moment(record),
        "summary": summary(record.decision),
        **_end(record),
        "attempts": sum(isinstance(each, Made) for each in record.calls),
        "cost_usd": _cost(record),
    }


def _end(record: DecisionRecord) -> dict[str, object]:
    outcome = "refused" if record.refusal is not None else record.outcome or "under_way"
    return {"outcome": outcome, "answered_by": record.answered_by}


def _cost(record: DecisionRecord) -> str | None:
    """Return what the calls of a request have cost that have ended, but for audits, which are made afterwards and not
    for it; None where a price is not known."""
    bill = Bill()
    for each in record.calls:
        if isinstance(each, Made) and each.observation.charged is not None and each.observation.cause != "audit":
            bill.add(each.observation.charged)
    return None if bill.total is None else usd_text(bill.total)


def _moment(record: DecisionRecord) -> str:
    return wall_iso(wall() + record.at - now())
