"""One simulated provider: from a request to the fault that the script has for it. It opens no socket itself.

`Provider.chat` and `Provider.models` are aiohttp handlers; `server.py` puts them on a port. They rely on
`handler_cancellation`: when the client's connection ends, the handler is cancelled at whatever it waits for.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from http import HTTPStatus

import anyio
from aiohttp import web

from streamroute import clock
from streamroute.core.request import WireFormatName
from streamroute.errors import RequestError
from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.content import compose
from streamroute.simulation.continuing import check_prefill
from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import Fault
from streamroute.simulation.format import Format
from streamroute.simulation.formats import FORMATS, format_of
from streamroute.simulation.limit_headers import plausible_report
from streamroute.simulation.meter import Meter
from streamroute.simulation.moment import Moment
from streamroute.simulation.pace import pace_factors, rate_limit_report, refusal_status
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.script import Script
from streamroute.simulation.seeded import token_hex

_LOG_RECORDS = 10_000
"""The request log is bounded: older records are dropped."""


class Provider:
    """Plays a script. Everything it knows of the requests is in `log`."""

    def __init__(self, script: Script, *, keep_bodies: bool = True) -> None:
        self.log: deque[RequestRecord] = deque(maxlen=_LOG_RECORDS)
        self.active: dict[int, web.Request] = {}
        """Chat requests that are going on, by their identity (aiohttp's are not hashable)."""
        self.is_closing = False
        self._keeps_bodies = keep_bodies
        self._changed = anyio.Event()
        self.script = script
        self._started_at: float | None = None
        self._ordinal = 0
        self._in_phase: Counter[int] = Counter()
        self._meter = Meter()

    def play(self, script: Script) -> None:
        """Behave as `script` says from now on; its clock and its count of requests begin anew."""
        self.script = script
        self._started_at = clock.now()
        self._ordinal = 0
        self._in_phase.clear()
        self._meter = Meter()

    async def changed(self) -> None:
        """Wait until a request begins, is written to, or ends."""
        await self._changed.wait()

    async def chat(self, request: web.Request, wire_format: WireFormatName = "openai_chat") -> web.StreamResponse:
        """Serve a request for an answer."""
        record = RequestRecord(ordinal=self._ordinal, received_at=clock.now(), wire_format=wire_format)
        record.note_headers(request.headers, is_kept=self._keeps_bodies)
        self._ordinal += 1
        self.log.append(record)
        self.active[id(request)] = request
        self._tell()
        try:
            return await self._serve(request, record, FORMATS[wire_format])
        except (asyncio.CancelledError, ConnectionError):
            if record.ending is None:  # else a fault ended the connection, and this is its echo
                record.ending = "server_closed" if self.is_closing else "client_closed"
                if not self.is_closing:
                    record.client_closed_at = clock.now()
            raise
        finally:
            record.ended_at = clock.now()
            self.active.pop(id(request), None)
            self._tell()

    async def models(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /v1/models`; faults do not touch it."""
        format_ = format_of(request.headers)
        try:
            _authorize(request, self.script.profile, format_)
        except RequestError as error:
            return _refusal(error, format_)
        names = self.script.profile.models or ("sim-1",)
        return web.Response(body=format_.models(names), content_type="application/json")

    async def _serve(self, request: web.Request, record: RequestRecord, format_: Format) -> web.StreamResponse:
        data = await request.read()
        record.body_bytes = len(data)
        headers = {"x-request-id": f"req_{token_hex(self.script.seed, 'request', record.ordinal)}"}
        try:
            _authorize(request, self.script.profile, format_)
            body = format_.read(data, request.match_info)
            _check_model(body.model, self.script.profile)
            check_prefill(body, self.script.profile)
        except RequestError as error:
            record.status, record.ending = error.status, "answered"
            return _refusal(error, format_, headers)
        record.model, record.stream, record.prompt_tokens = body.model, body.stream, body.prompt_tokens
        record.body = body.raw if self._keeps_bodies else None
        meter = self._meter
        fault, exchange = self._prepare(request, record, body, format_, headers)
        try:
            if fault is None:
                await exchange.answer_normally()
            else:
                record.fault = fault.kind
                await fault.play(exchange)
        finally:
            meter.end()
        record.ending = "answered" if fault is None else "fault"
        if exchange.response is None:
            raise RuntimeError(f"fault {record.fault!r} returned without a response")
        return exchange.response

    def _prepare(
        self, request: web.Request, record: RequestRecord, body: ChatBody, format_: Format, headers: dict[str, str]
    ) -> tuple[Fault | None, Exchange]:
        """Find the phase of the script, and what the good answer would be."""
        script = self.script
        elapsed_s = record.received_at - (record.received_at if self._started_at is None else self._started_at)
        index = script.phase_of(elapsed_s=elapsed_s, ordinal=record.ordinal, model=body.model, stream=body.stream)
        record.phase = index
        profile = script.profile_in(index)
        token = token_hex(script.seed, "answer", record.ordinal)
        answer = format_.answer(body, compose(body, profile), profile, token=token, created=int(clock.wall()))
        found = self._meter.begin(elapsed_s, limit_window_s=profile.limit_window_s, rate_window_s=profile.rate_window_s)
        moment = Moment(
            seed=script.seed,
            elapsed_s=elapsed_s - (0.0 if index is None else script.phases[index].from_s),
            ordinal=0 if index is None else self._in_phase[index],
            draw=record.ordinal,
            prompt_tokens=body.prompt_tokens,
            in_flight=found.in_flight,
            recent_rps=found.recent_rps,
            window_requests=found.window_requests,
            script_s=elapsed_s,
        )
        if refusal_status(profile, moment) is not None:
            self._meter.turn_away()
        report = rate_limit_report(profile, moment)
        if report is None and profile.sends_rate_limit_headers:
            report = plausible_report(record.ordinal)
        if report is not None:
            headers |= format_.limit_headers(report)
        if index is not None:
            self._in_phase[index] += 1
        exchange = Exchange(
            request,
            answer,
            format_,
            profile=profile.slowed(*pace_factors(profile, moment)),
            moment=moment,
            record=record,
            headers=headers,
            on_progress=self._tell,
        )
        return script.fault_for(index, moment), exchange

    def _tell(self) -> None:
        if self._changed.statistics().tasks_waiting:
            self._changed.set()
            self._changed = anyio.Event()


def _authorize(request: web.Request, profile: Profile, format_: Format) -> None:
    if profile.api_key is None:
        return
    given = format_.key(request.headers)
    if not given:
        raise RequestError(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=HTTPStatus.UNAUTHORIZED,
        )
    if given != profile.api_key:
        raise RequestError("Incorrect API key provided.", status=HTTPStatus.UNAUTHORIZED, code="invalid_api_key")


def _check_model(model: str, profile: Profile) -> None:
    if profile.models and model not in profile.models:
        raise RequestError(
            f"The model `{model}` does not exist or you do not have access to it.",
            status=HTTPStatus.NOT_FOUND,
            code="model_not_found",
        )


def _refusal(error: RequestError, format_: Format, headers: Mapping[str, str] | None = None) -> web.Response:
    body = format_.error(error)
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)
