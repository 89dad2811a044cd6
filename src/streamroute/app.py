"""The composition root: from a `Config` to a running system, and what operators do to it while it runs.

async with App(config) as app:      listening, embedded simulated providers started
    await app.reload(config)        new requests see the new configuration, running ones finish with the old
    await app.drain()               `/readyz` says no, live streams may finish, the rest get an error event
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import structlog

from streamroute.bookkeeping import Bookkeeping
from streamroute.clock import now, wall_iso
from streamroute.config.listen import require_keys
from streamroute.config.model import Config
from streamroute.core.cost.budget import Budgets
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.cost.report import UsageQuery, UsageRow
from streamroute.core.health.board import HealthBoard
from streamroute.core.routing.route import Catalog, ProviderFacts, find_upstream
from streamroute.core.upstream import Capabilities, ProviderName
from streamroute.engine.bidding import Bidding
from streamroute.engine.dispatcher import Directory, Dispatcher
from streamroute.engine.learning import Learning
from streamroute.engine.needs import Needs
from streamroute.engine.prober import Prober
from streamroute.engine.spending import Spending, now_ms
from streamroute.price_watch import PriceWatch
from streamroute.providers.aiohttp_transport import AiohttpTransport
from streamroute.providers.formats import open_provider
from streamroute.providers.options import ProviderOptions, SimulationOptions
from streamroute.providers.presets import PRESETS
from streamroute.providers.transport import Transport
from streamroute.reports import usage_report
from streamroute.routing_memory import RoutingMemory
from streamroute.server.books import NO_BOOKS, Books
from streamroute.server.site import Site
from streamroute.stores.key_watch import KeyWatch
from streamroute.stores.request_reader import find_request
from streamroute.telemetry.bus import Bus
from streamroute.telemetry.logs import log_observation
from streamroute.telemetry.metrics.registry import Metrics
from streamroute.telemetry.metrics.upstreams import Snapshot

if TYPE_CHECKING:
    from streamroute.simulation.server import SimulationServer

BACKLOG = 4096
"""A thousand clients may connect at once; the kernel caps it at net.core.somaxconn."""
CLOSE_TIMEOUT_S = 2.0
"""How long closing may take once nothing is to be waited for any more."""

_log = structlog.get_logger(__name__)


class App:
    """A running sidecar."""

    def __init__(self, config: Config, *, transport: Transport | None = None, rng: random.Random | None = None) -> None:
        """Prepare, without opening anything. `transport` and `rng` are for event loops and runs under test."""
        self.config = config
        self._transport = transport
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets
        self._simulations: dict[ProviderName, tuple[SimulationOptions, SimulationServer]] = {}
        self._server: asyncio.Server | None = None
        self.bookkeeping: Bookkeeping | None = None
        """None: there is no ledger."""
        self._ledger = config.ledger
        self.keys = KeyWatch(config.ledger)
        self.prices = PriceWatch(config, self._reprice)
        self.learning = Learning()
        self._budgets = Budgets()
        self._listens_on = (config.server.host, config.server.port)

    async def __aenter__(self) -> Self:
        config = self.config
        async with AsyncExitStack() as stack:
            transport = self._transport or AiohttpTransport()
            stack.push_async_callback(transport.aclose)
            stack.push_async_callback(self._close_simulations)
            bus = self.bus = Bus([log_observation])
            metrics = Metrics(snapshot=self._snapshot)
            bus.subscribe(metrics)
            board = HealthBoard(self._rng.random, config.health)
            directory = await self._directory(config)
            stack.push_async_callback(self.prices.aclose)
            stack.push_async_callback(self.keys.aclose)
            await self.keys.open()
            self._require_keys(config)
            if config.ledger.url is not None:
                self.bookkeeping = Bookkeeping(config.ledger)
                stack.push_async_callback(self.bookkeeping.aclose)
                bus.subscribe(self.bookkeeping.accounting)
            self.dispatcher = Dispatcher(
                directory,
                transport=transport,
                board=board,
                bus=bus,
                rng=self._rng,
                spending=Spending(Pricing(self._terms(directory.catalog)), self._budgets),
            )
            self.dispatcher.needs = Needs(learned=self.learning)
            self._apply_needs(config)
            self.bidding = Bidding(config.bidders, self.dispatcher.decisions)
            self.dispatcher.bidding = self.bidding if config.bidders else None
            bus.subscribe(self.bidding)
            bus.subscribe(self.learning)
            self.memory = RoutingMemory(config.routing_files, self.learning, self.dispatcher.gates)
            stack.push_async_callback(self.memory.aclose)
            await self.memory.open(self.dispatcher.decisions, bus)
            await self.prices.open()
            self._reprice()
            self.keys.on_change(lambda _: self._apply_budgets())
            self.prober = Prober(
                self.dispatcher,
                transport=transport,
                bus=bus,
                options=config.health,
                uniform=self._rng.random,
                lagged=board.local_trouble,
            )
            self.site = Site(
                self.dispatcher,
                config.server,
                metrics=metrics,
                bus=bus,
                prober=self.prober,
                books=self._books(config),
                keys=self.keys,
            )
            self.site.price_feeds = self.prices.figures
            self.site.routing_files, self.site.save_learned = self.memory.figures, self.memory.save
            self.site.config_facts = _config_facts(config)
            self._protocols = self.site.server()
            self._server = await asyncio.get_running_loop().create_server(
                self._protocols, config.server.host, config.server.port, backlog=BACKLOG
            )
            stack.push_async_callback(self._close_server)
            # Not anyio's: its task groups must be left within the very scope in which they were entered.
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            probing = tasks.create_task(self.prober.run())
            stack.callback(probing.cancel)
            watching = tasks.create_task(self.keys.run())
            stack.callback(watching.cancel)
            for job in (
                self.prices.run(),
                self.prices.feeds.run(),
                self.bidding.run(),
                self.memory.run(),
                self.dispatcher.auditor.run(),
            ):
                stack.callback(tasks.create_task(job).cancel)
            if self.bookkeeping is not None:
                recalling = tasks.create_task(self.bookkeeping.follow(self.dispatcher.spending))
                stack.callback(recalling.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, with the port that was really taken."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the server is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """`http://HOST:PORT`, to point clients at (with `/v1` or without)."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def simulations(self) -> Mapping[ProviderName, "SimulationServer"]:
        """The embedded simulated providers that are running."""
        return {name: server for name, (_, server) in self._simulations.items()}

    async def reload(self, config: Config) -> None:
        """Take over a new configuration at once; what was learned of upstreams stays, running requests go on."""
        if (config.server.host, config.server.port) != self._listens_on:
            _log.warning("config.listen_needs_restart", listen=f"{config.server.host}:{config.server.port}")
        # The address stays as it is, and so does what must be asked of whoever reaches it.
        server = replace(config.server, host=self._listens_on[0], port=self._listens_on[1])
        self._require_keys(replace(config, server=server))
        directory = await self._directory(config)
        self.prices.apply(config)
        self.dispatcher.apply(directory, config.health)
        self._apply_needs(config)
        self.dispatcher.spending.pricing.apply(self._terms(directory.catalog))
        self._reprice()
        if config.ledger != self._ledger:
            _log.warning("config.ledger_needs_restart")
        self.bidding.apply(config.bidders)
        self.dispatcher.bidding = self.bidding if config.bidders else None
        if config.routing_files != self.config.routing_files:
            _log.warning("config.routing_files_need_restart")
        self.prober.policy.options = config.health
        self.site.apply(server)
        self.site.config_facts = _config_facts(config)
        self.config = config
        self._apply_budgets()
        _log.info("config.reloaded", file=str(config.file), routes=list(config.routes))

    async def drain(self) -> None:
        """Let live requests finish, within the limits of `server.drain_*`; end the rest with an error event."""
        options = self.site.options
        self.site.is_draining = True
        _log.info("drain.started", in_flight=self.dispatcher.in_flight, timeout_s=options.drain_timeout_s)
        with anyio.move_on_after(options.drain_delay_s):
            await anyio.sleep_forever()
        self.dispatcher.is_closed = self.dispatcher.auditor.is_closed = True
        deadline = now() + options.drain_timeout_s
        with anyio.move_on_at(deadline):
            await self.dispatcher.idle()
        cut = self.dispatcher.in_flight
        self.stop_requests()
        with anyio.move_on_after(CLOSE_TIMEOUT_S):
            await self.dispatcher.idle()
        with anyio.move_on_at(max(deadline, now() + CLOSE_TIMEOUT_S)):
            await self._protocols.flushed()
        _log.info("drain.ended", cut=cut)

    def stop_requests(self) -> None:
        """End every live request now, with an error event that says why."""
        self.site.is_draining = self.dispatcher.is_closed = self.dispatcher.auditor.is_closed = True
        self.dispatcher.shut_down()

    def _apply_needs(self, config: Config) -> None:
        upstreams, routes = config.upstreams.values(), config.routes.values()
        fitted = {name: policy.seen_domains for name, policy in config.tier_policies.items()}
        self.dispatcher.gates.policies = config.tier_policies
        self.dispatcher.needs.apply(config.routing, config.requirements, upstreams, routes, fitted)

    def _apply_budgets(self) -> None:
        """Keep the budgets of the configuration and of all live keys."""
        at_ms = now_ms()
        self._budgets.apply((*self.config.budgets, *self.keys.ring.budget_lines(at_ms)), at_ms)
        if self.bookkeeping is None:
            self._budgets.unknown.clear()  # nobody knows, and nobody ever will

    def _books(self, config: Config) -> Books:
        url = config.ledger.url
        if url is None:
            return NO_BOOKS
        return Books(
            figures=self._ledger_figures,
            usage=self._usage,
            find_request=partial(find_request, url),
            keep_days=config.ledger.keep_days,
        )

    def _usage(self, query: UsageQuery, timeout_s: float) -> list[UsageRow]:
        """Blocks: for another thread. The ledger stays where it was opened, prices are those of now."""
        return usage_report(replace(self.config, ledger=self._ledger), query, timeout_s)

    def _ledger_figures(self) -> LedgerFigures | None:
        return None if self.bookkeeping is None else self.bookkeeping.figures()

    def _snapshot(self) -> Snapshot:
        board, at = self.dispatcher.board, now()
        return Snapshot(
            upstreams=[
                (upstream, board.standing(upstream, at), board.health(upstream.id, at).figures().score)
                for upstream in self.config.upstreams.values()
            ],
            budget=self.dispatcher.budget.figures(at),
            spend=self._budgets.named(now_ms()),
            over_budget=self.dispatcher.spending.refused,
            soft_limits=dict(self.dispatcher.spending.soft_limits),
            event_loop_lag_s=self.prober.lag_s,
            ledger=self._ledger_figures(),
            routing_files=self.memory.file_figures(),
            keys=self.keys.figures(),
            price_feeds=self.prices.figures(),
            rate_limited=self.site.limits.refused,
            gates=self.dispatcher.gates.figures(),
        )

    def _require_keys(self, config: Config) -> None:
        """Raise ConfigError where everyone who reaches the sidecar would be let in, or nobody could be."""
        figures = self.keys.figures()
        require_keys(config, 0 if figures is None else figures.live, None if figures is None else figures.trouble)

    def _terms(self, catalog: Catalog) -> Terms:
        return Terms(prices=self.prices.book, find=partial(find_upstream, catalog=catalog))

    def _reprice(self) -> None:
        """Let new decisions see what upstreams cost now."""
        self.dispatcher.reprice(self.prices.priced)

    async def _directory(self, config: Config) -> Directory:
        """Make what the dispatcher works with, and see that every simulated provider in it is running."""
        wanted = {name: options for name, options in config.providers.items() if options.is_simulated}
        started = await self._start_simulations(wanted)
        providers = {
            name: open_provider(replace(options, base_url=started[name].base_url) if name in started else options)
            for name, options in config.providers.items()
        }
        catalog = Catalog(
            routes=config.routes,
            upstreams=config.upstreams,
            providers={
                name: ProviderFacts(
                    name=name,
                    is_simulated=options.is_simulated,
                    residency=options.residency,
                    limits_by_model=options.quirks.rate_limit_scope == "model",
                    capabilities=Capabilities(
                        continuation=PRESETS[options.kind].continuation,
                        bills_cancelled_streams=options.quirks.bills_cancelled_streams,
                    ),
                )
                for name, options in config.providers.items()
            },
            auto=config.auto,
            disabled={each.name: each.reason for each in config.disabled},
        )
        return Directory(catalog=catalog, providers=providers)

    async def _start_simulations(
        self, wanted: Mapping[ProviderName, ProviderOptions]
    ) -> dict[ProviderName, "SimulationServer"]:
        """Start the ones that are missing; ones no longer wanted end with the app, for requests that still run."""
        started = {}
        for name, options in wanted.items():
            simulation = options.simulation
            if simulation is None:
                continue
            # Some sixty modules, which nobody with real providers needs.
            from streamroute.simulation import embedded  # noqa: PLC0415

            known = self._simulations.get(name)
            if known is None:
                server = await embedded.start(simulation)
                self._simulations[name] = (simulation, server)
            else:
                server = known[1]
                if known[0] != simulation:
                    server.play(embedded.script_of(simulation))
                    self._simulations[name] = (simulation, server)
            started[name] = server
        return started

    async def _close_simulations(self) -> None:
        for _, server in self._simulations.values():
            await server.aclose()

    async def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self.stop_requests()
            self._protocols.pre_shutdown()  # ends idle keep-alive connections, which shutdown() would wait for
            await self._protocols.shutdown(CLOSE_TIMEOUT_S)
            await self._server.wait_closed()


def _config_facts(config: Config) -> dict[str, object]:
    return {"file": str(config.file), "loaded_at": wall_iso()}
