"""`POST /v1/chat/completions`: the meeting point of one HTTP request and one dispatched call."""

from dataclasses import replace

import structlog
from aiohttp import web

from streamroute.clock import now
from streamroute.core.caller import Caller
from streamroute.core.cost.bill import Bill
from streamroute.core.money import usd_text
from streamroute.engine.call import Call
from streamroute.engine.dispatcher import Dispatcher
from streamroute.errors import RequestError
from streamroute.server.answers import StreamAnswer, WholeAnswer, answer_headers
from streamroute.server.budget_status import warning_headers
from streamroute.server.call import decode_call, read_body
from streamroute.server.decisions import DECISION_ID, dry_run, wants_explanation
from streamroute.server.failure import FailureReply
from streamroute.server.key_limits import KeyLimits
from streamroute.server.options import ServerOptions
from streamroute.server.replies import json_reply
from streamroute.wire.openai_chat.cost import with_cost

COST = "x-streamroute-cost-usd"
"""Of all calls made for the request, losers included; not there where a price is not known. Streams cannot tell it
before they end: theirs stands in the last usage."""

_log = structlog.get_logger(__name__)


class ChatHandler:
    """Serves chat requests."""

    def __init__(self, dispatcher: Dispatcher, options: ServerOptions, limits: KeyLimits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._options = options

    async def __call__(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.StreamResponse:
        """Serve one request; `headers` belong on every reply, and are told of the caller's limits as they are then.

        Raises RequestError for what cannot be served.
        """
        self._dispatcher.check_open()
        arrived_at = now()
        body = await read_body(request, self._options)
        call = decode_call(request, body, id_=headers["x-request-id"], arrived_at=arrived_at, caller=caller)
        if wants_explanation(request):
            return json_reply(dry_run(self._dispatcher.foresee(call)), headers=headers)
        call = replace(call, decision_id=call.ledger_id, tells_cost=self._options.cost_in_usage)
        with self._limits.held(call):
            headers.update(self._limits.headers(caller))
            warning = warning_headers(self._dispatcher.spending.near(call.attribution))
            decision = {DECISION_ID: call.ledger_id}
            told = {**headers, **warning, **decision}
            try:
                return await (self._stream(request, call, told) if call.chat.stream else self._whole(call, told))
            except RequestError:
                if self._dispatcher.decisions.get(call.ledger_id) is not None:  # it says why nobody would do
                    headers.update(decision)
                raise

    async def _stream(self, request: web.BaseRequest, call: Call, headers: dict[str, str]) -> web.StreamResponse:
        answer = StreamAnswer(request, model=call.chat.model, headers=headers, keepalive_s=self._options.keepalive_s)
        answer.open()
        bill = Bill()
        try:
            bill = await self._dispatcher.dispatch(call, answer)
        except Exception:
            if not answer.break_off():
                raise
            _log.exception("request.broke", request_id=call.request_id)
        finally:
            answer.close()
        return answer.reply if answer.failure is None else _reply(answer.failure, {**headers, **_cost(bill)})

    async def _whole(self, call: Call, headers: dict[str, str]) -> web.StreamResponse:
        answer = WholeAnswer(model=call.chat.model)
        bill = await self._dispatcher.dispatch(call, answer)
        headers = {**headers, **_cost(bill)}
        if answer.failure is not None or answer.head is None:
            return _reply(answer.failure, headers)
        headers = {**headers, **answer_headers(answer.head)}
        body = with_cost(answer.body, headers.get(COST)) if call.tells_cost else answer.body
        return web.Response(body=body, headers=headers, content_type="application/json")


def _cost(bill: Bill) -> dict[str, str]:
    return {} if bill.total is None else {COST: usd_text(bill.total)}


def _reply(failure: FailureReply | None, headers: dict[str, str]) -> web.Response:
    if failure is None:
        raise RuntimeError("a plan ended without an answer and without a failure")
    return web.Response(
        body=failure.body,
        status=failure.status,
        headers={**headers, **failure.headers},
        content_type="application/json",
    )
