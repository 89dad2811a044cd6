"""Traps that show on sockets only: what sidecars and SDKs in a row do, errors after 200, who says that it was another.

See `tests/core/test_traps.py` for the others.
"""

import ast
from dataclasses import replace
from pathlib import Path

import openai
import pytest

import streamroute
from streamroute.core.upstream import Capabilities
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, StreamError
from tests.support.rig import QUICK, Rig

SRC = Path(streamroute.__file__).parent
WALL_CLOCK_READERS = {
    "cli/check.py",  # keys end at a date
    "cli/keys.py",
    "cli/replay.py",  # prices have dates
    "cli/routing.py",  # `--since 24h`
    "cli/usage.py",
    "engine/accounting.py",  # entries of the ledger have a date, and prices too
    "engine/attempt.py",  # Retry-After and x-ratelimit-reset may be HTTP dates
    "engine/prober.py",  # the same
    "engine/spending.py",  # windows of budgets, and prices, have dates
    "feeds/price_feed.py",  # prices of a feed have a date
    "price_watch.py",  # those of lists, too
    "providers/anthropic_messages.py",  # `created` of an answer
    "providers/gemini.py",
    "routing_memory.py",  # when it was saved, for people
    "server/auth.py",  # keys end at a date
    "server/decisions.py",  # shown to people
    "server/key_status.py",
    "server/shown.py",
    "server/site.py",
    "server/status.py",
    "reports.py",  # `since=24h`
    "server/usage.py",
    "stores/key_watch.py",  # keys end at a date
    "stores/writer.py",  # days that are over are thinned out
}


# -- retry storm


def attempt_numbers(rig: Rig) -> list[str]:
    """Return what the calls to all providers carried, in the order of their arrival."""
    records = [record for provider in rig.providers for record in provider.log]
    return [each.headers["x-streamroute-attempt"] for each in sorted(records, key=lambda each: each.received_at)]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_every_call_says_which_attempt_it_is(stream: bool) -> None:
    """Whoever stands behind us, another sidecar or a gateway, can tell a retry from a request."""
    async with Rig.of(ErrorStatus(), ErrorStatus(), None, plan="failover") as rig:
        assert (await rig.ask(stream=stream)).text == rig.expected_text
        assert attempt_numbers(rig) == ["1", "2", "3"]


async def test_a_continuation_is_an_attempt_too() -> None:
    """It pays for the whole prompt again."""
    prefill = Capabilities(continuation="prefill")
    async with Rig.of(Cut(at_token=6, how="eof"), None, capabilities=(prefill, prefill)) as rig:
        assert (await rig.ask(stream=True)).text == rig.expected_text
        assert attempt_numbers(rig) == ["1", "2"]


async def test_retries_of_sidecars_in_a_row_do_not_multiply() -> None:
    """The one before us makes its first attempt: we do all we can. It tries again: we make one call, no more."""
    async with Rig.of(ErrorStatus(), ErrorStatus(), ErrorStatus(), plan="failover") as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-attempt": "1"})
        assert (reply.status, rig.requests) == (502, [1, 1, 1])
    async with Rig.of(ErrorStatus(), ErrorStatus(), ErrorStatus(), plan="failover") as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-attempt": "2", "x-streamroute-max-attempts": "9"})
        assert (reply.status, rig.requests) == (502, [1, 0, 0])
        assert attempt_numbers(rig) == ["2"]


async def test_two_sidecars_add_their_attempts_up() -> None:
    """Both would try three times; the providers behind them see five calls for one request, not nine."""
    async with (
        Rig.of(ErrorStatus(), ErrorStatus(), ErrorStatus(), plan="failover") as inner,
        Rig.of(None, None, None, plan="failover", deadlines=replace(QUICK, first_token_s=2.0, headers_s=2.0)) as outer,
    ):
        providers = {
            name: replace(options, base_url=f"{inner.app.url}/v1")
            for name, options in outer.app.config.providers.items()
        }
        upstreams = {name: replace(each, model="chat") for name, each in outer.app.config.upstreams.items()}
        await outer.app.reload(replace(outer.app.config, providers=providers, upstreams=upstreams))
        reply = await outer.ask(stream=True)
        assert reply.status == 502
        assert outer.requests == [0, 0, 0]
        assert sum(inner.requests) == 3 + 1 + 1


@pytest.mark.parametrize("headers", [{}, {"x-streamroute-attempt": "1"}])
async def test_sdk_retries_reach_no_provider(headers: dict[str, str]) -> None:
    """An SDK that would retry twice is told that our attempts are used up, and what it says of its own stays here."""
    async with Rig.of(ErrorStatus(), ErrorStatus(), plan="failover") as rig:
        client = openai.AsyncOpenAI(base_url=f"{rig.app.url}/v1", api_key="x", max_retries=2, default_headers=headers)
        async with client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hi"}])
        assert rig.requests == [1, 1]
        for provider in rig.providers:
            assert not [name for name in provider.log[0].headers if name.startswith("x-stainless")]


# -- 200 OK, and then an error


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("shape", ["openai", "event", "openrouter"])
async def test_an_error_after_200_is_a_failure(shape: str, stream: bool) -> None:
    """The client gets the backup's answer, and the upstream's health suffers as by a 500."""
    fault = StreamError(shape=shape)  # type: ignore[arg-type]  # a literal that pytest hands on as text
    async with Rig.of(fault, None, plan="failover") as rig:
        for _ in range(8):
            reply = await rig.ask(stream=stream)
            assert (reply.text, reply.error) == (rig.expected_text, None)
        figures = rig.app.dispatcher.board.health(next(iter(rig.app.config.upstreams)), 0.0).figures()
        assert figures.succeeded == 0
        assert 1 <= figures.failed <= 3, "then its breaker is open"
        await rig.settled()


# -- it was another one


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", [None, ErrorStatus()], ids=["preferred", "fallback"])
async def test_who_answered_is_declared(fault: Fault | None, stream: bool) -> None:
    """Another model may answer than was preferred, and it is never passed off as that: headers name the upstream,
    and the body the model."""
    async with Rig.of(fault, None, plan="failover") as rig:
        reply = await rig.ask(stream=stream)
        name = "a" if fault is None else "b"
        assert reply.headers["x-streamroute-upstream"] == name
        assert reply.headers["x-streamroute-provider"] == name
        assert reply.models == {f"model-{name}"}


async def test_who_carried_on_is_declared() -> None:
    """At the joint a comment names the upstream; the chunks keep the model that the stream began with."""
    prefill = Capabilities(continuation="prefill")
    async with Rig.of(Cut(at_token=6, how="eof"), None, capabilities=(prefill, prefill)) as rig:
        reply = await rig.ask(stream=True)
        assert reply.text == rig.expected_text
        assert [each["upstream"] for each in reply.told] == ["b"]
        assert reply.models == {"model-a"}


# -- clocks


def test_nothing_but_people_and_http_dates_reads_the_wall_clock() -> None:
    """It jumps: at a leap second, when NTP corrects it, when a laptop wakes. What measures reads the monotonic one."""
    readers, importers = set(), set()
    for file in SRC.rglob("*.py"):
        name = file.relative_to(SRC).as_posix()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import) and any(each.name == "time" for each in node.names):
                importers.add(name)
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                importers.add(name)
            if isinstance(node, ast.ImportFrom) and node.module == "streamroute.clock":
                readers |= {name for each in node.names if each.name == "wall"}
            if isinstance(node, ast.Attribute) and node.attr in {"utcnow", "today"}:
                importers.add(name)
    assert importers == {"clock.py"}
    assert readers == WALL_CLOCK_READERS
