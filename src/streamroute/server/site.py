"""The HTTP surface: paths to handlers, and what every reply has in common.

    clients     POST /v1/chat/completions /v1/feedback   GET /v1/models /v1/models/{id}      (also without /v1)
    operators   GET /livez /readyz /healthz /status /status/decisions /status/decisions/{id} /metrics
                POST /admin/upstreams/{id}/{drain,enable,open,close} /admin/routing/reset
                GET /admin/usage /admin/budgets

Rules: every reply carries `x-request-id`; every error has OpenAI's shape; what we did not expect is a 500 that is
logged with its traceback, and never reaches the client in words.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web

from streamroute.clock import wall
from streamroute.core.caller import ANYONE, Caller
from streamroute.core.cost.feed_figures import FeedFigures
from streamroute.core.cost.key_figures import KeyFigures
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.observation import RefusalObservation
from streamroute.engine.dispatcher import Dispatcher
from streamroute.engine.prober import Prober
from streamroute.engine.spending import Spending
from streamroute.errors import RequestError, UnmetError
from streamroute.server.admin import PREFIX as ADMIN_PREFIX
from streamroute.server.admin import operate
from streamroute.server.auth import KeyCheck, require_admin
from streamroute.server.books import Books
from streamroute.server.budget_status import budgets_reply
from streamroute.server.call import request_id
from streamroute.server.chat import ChatHandler
from streamroute.server.connection import Connection, ConnectionServer
from streamroute.server.cors import Cors
from streamroute.server.decisions import decisions_reply
from streamroute.server.feedback import FeedbackHandler
from streamroute.server.health import probe_reply
from streamroute.server.key_limits import KeyLimits
from streamroute.server.learned import PATH as RESET_PATH
from streamroute.server.learned import nothing_to_save, reset
from streamroute.server.models import list_models, one_model
from streamroute.server.options import ServerOptions
from streamroute.server.replies import error_reply, json_reply, refusal
from streamroute.server.status import status_document, upstream_status
from streamroute.server.usage import UsageHandler
from streamroute.stores.key_watch import KeyWatch
from streamroute.telemetry.bus import Bus
from streamroute.telemetry.metrics.registry import Metrics

_log = structlog.get_logger(__name__)

_VERSIONS = frozenset({HttpVersion10, HttpVersion11})
_PROBE_PATHS = frozenset({"/livez", "/readyz", "/healthz"})
"""Orchestrators ask these without credentials, and they tell nothing about anyone."""

Handler = Callable[[web.BaseRequest, Caller, dict[str, str]], Awaitable[web.StreamResponse]]


class Site:
    """Serves HTTP requests."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        options: ServerOptions,
        *,
        metrics: Metrics,
        bus: Bus,
        prober: Prober,
        books: Books,
        keys: KeyWatch,
    ) -> None:
        self.dispatcher = dispatcher
        self.prober = prober
        self.ledger = books.figures
        self.keys = keys
        self.price_feeds: Callable[[], Sequence[FeedFigures]] = tuple
        """Says how price feeds fare."""
        self.routing_files: Callable[[], Mapping[str, object]] = dict
        """Says what routing writes where."""
        self.save_learned: Callable[[], Awaitable[None]] = nothing_to_save
        self.limits = KeyLimits()
        bus.subscribe(self.limits)
        keys.on_change(self.limits.apply)
        self.started_at = wall()
        self.config_facts: Mapping[str, object] = {}
        """Where the configuration came from and when it was last loaded, for `/status`."""
        self.is_draining = False
        """No new request should come here: `/readyz` says so."""
        self._metrics = metrics
        self._bus = bus
        self._client_paths: dict[tuple[str, str], Handler] = {}
        self._feedback = FeedbackHandler(dispatcher.decisions, bus.publish, books)
        bus.subscribe(self._feedback.listen)
        self.apply(options)
        self._operator_paths: dict[str, Handler] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/healthz": self._livez,
            "/status": self._status,
            "/status/decisions": self._decisions,
            "/metrics": self._show_metrics,
            "/admin/usage": UsageHandler(books.usage),
            "/admin/budgets": partial(budgets_reply, dispatcher.spending),
        }

    def apply(self, options: ServerOptions) -> None:
        """Serve new requests by `options`; connections that are open keep their own limits."""
        self.options = options
        self._check = KeyCheck(options, lambda: self.keys.ring)
        self._cors = Cors(options.cors_origins)
        self._feedback.options = options
        self._client_paths = {
            ("POST", "/chat/completions"): ChatHandler(self.dispatcher, options, self.limits),
            ("POST", "/feedback"): self._feedback,
            ("GET", "/models"): self._list_models,
        }

    def server(self) -> ConnectionServer:
        """Make the protocol factory to listen with."""
        return ConnectionServer(
            self._serve,
            header_timeout_s=self.options.header_timeout_s,
            write_buffer_bytes=self.options.max_write_buffer_bytes,
            max_body_bytes=self.options.max_body_bytes,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.headers_complete()
        id_ = request_id(request)
        headers = {"x-request-id": id_, "server": "streamroute", **self._cors.headers(request)}
        try:
            return await self._route(request, headers)
        except RequestError as error:
            self._bus.publish(_observed(id_, error))
            reply = refusal(error)
        except Exception:  # noqa: BLE001 - the last line of defence: logged, and told as a 500
            _log.exception("request.broke", request_id=id_, path=request.path)
            reply = error_reply(500, "The sidecar failed; its log says why.", type_="server_error", code="internal")
        reply.headers.update(headers)
        if self.is_draining or request.version not in _VERSIONS:
            reply.force_close()
        return reply

    async def _route(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse:
        if request.version not in _VERSIONS:
            raise _wrong_version(request)
        path = request.path.rstrip("/") or "/"
        if request.method == "OPTIONS":
            return self._cors.preflight(request)
        operator = self._operator_paths.get(path)
        if operator is None and path.startswith("/status/decisions/"):
            operator = self._decisions
        if operator is not None:
            if request.method not in {"GET", "HEAD"}:
                raise _wrong_method(request, "GET")
            return await operator(request, ANYONE if path in _PROBE_PATHS else self._check.check(request), headers)
        if path.startswith(ADMIN_PREFIX) or path == RESET_PATH:
            return await self._admin(request, path, headers)
        path = path.removeprefix("/v1")
        handler = self._client_paths.get((request.method, path))
        if handler is None and request.method == "GET" and path.startswith("/models/"):
            handler = self._one_model
        if handler is None:
            allowed = [method for method, known in self._client_paths if known == path]
            raise _wrong_method(request, *allowed) if allowed else _no_such_path(request)
        caller = self._check.check(request)
        self._check_origin(request)
        headers.update(self.limits.headers(caller))
        return await handler(request, caller, headers)

    def _check_origin(self, request: web.BaseRequest) -> None:
        if request.method == "POST" and not self._check.is_asking and self._cors.refuses(request):
            raise RequestError(
                f"Web pages of {request.headers['origin'][:200]!r} may not call: add it to `server.cors_origins`.",
                status=403,
                code="origin_not_allowed",
            )

    async def _admin(self, request: web.BaseRequest, path: str, headers: dict[str, str]) -> web.Response:
        if request.method != "POST":
            raise _wrong_method(request, "POST")
        require_admin(self._check.check(request))
        self._check_origin(request)
        headers = {**headers, "Cache-Control": "no-store"}
        learned = self.dispatcher.needs.learned
        if path == RESET_PATH and learned is not None:
            forgotten = await reset(request, self.options, learned)
            await self.save_learned()
            return json_reply(forgotten, headers=headers)
        upstream = operate(path, self.dispatcher.directory.catalog, self.dispatcher.board)
        return json_reply(upstream_status(self, upstream), headers=headers)

    async def _list_models(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        return json_reply(list_models(self.dispatcher.directory.catalog, caller, int(self.started_at)), headers=headers)

    async def _one_model(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        name = request.path.partition("/models/")[2]
        document = one_model(name, self.dispatcher.directory.catalog, caller, int(self.started_at))
        return json_reply(document, headers=headers)

    async def _livez(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        return probe_reply(request, {"ping": None})

    async def _readyz(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        return probe_reply(
            request,
            {
                "ping": None,
                "config": None,
                "routes": self._routes_check(),
                # Not a failure, but an operator who looks closely should see it.
                **({"routes (SIMULATED answers)": None} if self._is_simulated() else {}),
                # Nor is this: answers do not need it.
                **dict.fromkeys(_ledger_check(self.ledger())),
                **dict.fromkeys(_keys_check(self.keys.figures())),
                **dict.fromkeys(map(_feed_check, self.price_feeds())),
                **dict.fromkeys(_budgets_check(self.dispatcher.spending)),
                "draining": "the sidecar is shutting down" if self.is_draining else None,
            },
        )

    def _routes_check(self) -> str | None:
        """Return why no request can be served, as far as that is for people to change."""
        routes = self.dispatcher.directory.catalog.served.values()
        if not routes:
            return "no route has an enabled upstream"
        drained = self.dispatcher.board.drained
        if all(upstream in drained for route in routes for upstream in route.upstreams):
            return "every upstream is drained; POST /admin/upstreams/{id}/enable brings one back"
        return None

    def _is_simulated(self) -> bool:
        return any(upstream.is_simulated for upstream in self.dispatcher.directory.catalog.upstreams.values())

    async def _status(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        return json_reply(status_document(self, caller), headers={**headers, "Cache-Control": "no-store"})

    async def _decisions(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        return decisions_reply(self.dispatcher.decisions, request.path.rstrip("/"), headers)

    async def _show_metrics(self, request: web.BaseRequest, caller: Caller, headers: dict[str, str]) -> web.Response:
        body, content_type = await self._metrics.render()
        return web.Response(body=body, headers={**headers, "Content-Type": content_type})


def _ledger_check(figures: LedgerFigures | None) -> list[str]:
    """Name the check so that it says how the ledger stands; nothing where there is none."""
    if figures is None:
        return []
    if figures.trouble is None:
        return [f"ledger ({figures.dropped} entries DROPPED)" if figures.dropped else "ledger"]
    where = f"{figures.spooled} entries on disk, {figures.waiting} in memory, {figures.dropped} DROPPED"
    return [f"ledger (TROUBLE: {figures.trouble}; {where})"]


def _keys_check(figures: KeyFigures | None) -> list[str]:
    """Name the check so that it says how the keys fare; nothing where there can be none."""
    if figures is None:
        return []
    if figures.trouble is None:
        return ["keys"]
    return [f"keys (TROUBLE: {figures.trouble}; the last known go on working, {figures.live} live)"]


def _feed_check(figures: FeedFigures) -> str:
    """Name the check so that it says how old a feed's prices are, and what is wrong with it."""
    age = "" if figures.age_s is None else f", {figures.age_s:.0f} s old"
    use = {
        "silent": ": the configured prices count",
        "unused": ": the configured prices count",
        "stale": "",
        "fresh": "",
    }
    words = [] if figures.state == "fresh" else [f"{figures.state.upper()}{age}{use[figures.state]}"]
    words += [] if figures.trouble is None else [f"TROUBLE: {figures.trouble}"]
    return f"price feed {figures.name}" + (f" ({'; '.join(words)})" if words else "")


def _budgets_check(spending: Spending) -> list[str]:
    """Name the check so that it says what is not known; nothing where there are no budgets."""
    if not spending.budgets.lines:
        return []
    if spending.budgets.unknown:
        return ["budgets (TROUBLE: what was spent before is not known yet)"]
    if spending.trouble is not None:
        return [f"budgets (TROUBLE: {spending.trouble}; what other sidecars spend is not known)"]
    return ["budgets"]


def _observed(id_: str, error: RequestError) -> RefusalObservation:
    route, unmet = (error.route, error.requirements) if isinstance(error, UnmetError) else ("", ())
    return RefusalObservation(request_id=id_, http_status=error.status, code=error.code, route=route, unmet=unmet)


def _wrong_version(request: web.BaseRequest) -> RequestError:
    version = f"{request.version.major}.{request.version.minor}"
    return RequestError(f"HTTP/{version} is not spoken here; use HTTP/1.1.", code="http_version")


def _wrong_method(request: web.BaseRequest, *allowed: str) -> RequestError:
    return RequestError(
        f"{request.method} is not allowed on {request.path}; use {' or '.join(allowed)}.",
        status=405,
        code="method_not_allowed",
    )


def _no_such_path(request: web.BaseRequest) -> RequestError:
    return RequestError(
        f"There is no {request.method} {request.path[:200]}. Clients use POST /v1/chat/completions and /v1/feedback, "
        "and GET /v1/models; operators /livez, /readyz, /status, /metrics, GET /admin/usage and /admin/budgets, "
        "POST /admin/upstreams/{id}/{action} and /admin/routing/reset.",
        status=404,
        code="not_found",
    )
