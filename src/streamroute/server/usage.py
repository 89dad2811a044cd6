"""`GET /admin/usage`: what the ledger adds up to, as JSON or CSV.

    by         task,user,team,key,provider,upstream,route,model,service_tier,cause,day,month; by default upstream
    since, until                  24h, 7d, or a date or time (UTC)
    task, user, ...               only these; several count together, an empty one is for those without
    baseline   an upstream, or provider/model: what answers would have cost there, and what was saved
    waste      1: what was spent on what nobody got, by cause
    format     json (default) or csv

The database is read in threads, at most `MAX_REPORTS` at a time and for `TIMEOUT_S` each; a large report is sent in
parts.
"""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from aiohttp import web

from streamroute.clock import wall
from streamroute.core.caller import Caller
from streamroute.core.cost.report import FILTERS, UsageQuery
from streamroute.errors import RequestError, StoreError
from streamroute.server.auth import require_admin
from streamroute.server.books import ReadUsage
from streamroute.wire.usage_query import QueryError, usage_query
from streamroute.wire.usage_text import csv_chunks, json_chunks

MAX_REPORTS = 2
"""One for a person and one for a scraper; more would only share the disk."""
TIMEOUT_S = 10.0
"""Five times what five million attempts take (bench/results/usage_report.json)."""

_PARTS = {"by", "since", "until", "baseline", "waste", "format", *FILTERS}
_TYPES = {"json": "application/json", "csv": "text/csv"}


class UsageHandler:
    """Answers with reports."""

    def __init__(self, read: ReadUsage | None) -> None:
        """`read` is None where there is no ledger."""
        self._read = read
        self._pool = ThreadPoolExecutor(MAX_REPORTS, thread_name_prefix="usage")
        self._lock = threading.Lock()
        self._running = 0

    async def __call__(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.StreamResponse:
        """Answer one request; raises RequestError."""
        require_admin(caller)
        if self._read is None:
            raise RequestError("There is no ledger: `ledger.url` is off.", status=404, code="no_ledger")
        query, form = _question(request)
        chunks = await self._report(self._read, query, form)
        reply = web.StreamResponse(headers={**headers, "Cache-Control": "no-store", "Content-Type": _TYPES[form]})
        if form == "csv":
            reply.headers["Content-Disposition"] = 'attachment; filename="usage.csv"'
        await reply.prepare(request)
        for chunk in chunks if request.method != "HEAD" else ():
            await reply.write(chunk)
        await reply.write_eof()
        return reply

    async def _report(self, read: ReadUsage, query: UsageQuery, form: str) -> list[bytes]:
        with self._lock:
            if self._running >= MAX_REPORTS:
                raise RequestError(f"{MAX_REPORTS} reports are being made; try again.", status=429, code="reports_busy")
            self._running += 1
        future = self._pool.submit(_made, read, query, form)
        future.add_done_callback(self._ended)
        try:
            return await asyncio.wrap_future(future)
        except StoreError as error:
            raise RequestError(f"The ledger cannot be read: {error}.", status=503, code="ledger_unavailable") from error
        except ValueError as error:
            raise RequestError(f"{error}", param="baseline", code="invalid_value") from error

    def _ended(self, future: Future[list[bytes]]) -> None:
        with self._lock:
            self._running -= 1


def _made(read: ReadUsage, query: UsageQuery, form: str) -> list[bytes]:
    """In a thread: read and write, so that the event loop only sends."""
    chunks = json_chunks if form == "json" else csv_chunks
    return [chunk.encode(errors="replace") for chunk in chunks(query, read(query, TIMEOUT_S))]


def _question(request: web.BaseRequest) -> tuple[UsageQuery, str]:
    given = request.query
    for part in given:
        if part not in _PARTS:
            raise RequestError(f"There is no {part[:100]!r} here.", param=part[:100], code="unknown_parameter")
    form = given.get("format", "json")
    if form not in _TYPES:
        raise RequestError("The format is json or csv.", param="format", code="invalid_value")
    try:
        query = usage_query(
            int(wall() * 1000),
            by=given.get("by", "upstream"),
            since=given.get("since"),
            until=given.get("until"),
            only={name: given.getall(name, []) for name in FILTERS},
            baseline=given.get("baseline"),
            is_waste_told=given.get("waste", "") not in {"", "0", "false"},
        )
    except QueryError as error:
        raise RequestError(f"{error}.", param=error.part, code="invalid_value") from error
    return query, form
