"""Clients that do not read, against a process whose memory can be measured."""

import asyncio
import socket

import orjson
import psutil

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.raw_http import RawClient, post
from tests.support.rig import Reply, read_stream
from tests.support.serve_process import ServeProcess, provider_table

PROMPT = "Tell me about rivers."
CLIENTS = 3
CHOICES = 4
TOKENS = 9000
"""36,000 events of some 200 bytes: 7 MB for each client."""
STALL_S = 1.0
"""The provider shares this process's one thread among its streams, so each has to wait for the others."""
PAUSE_S = 2 * STALL_S
MAX_GROWTH_BYTES = 8 << 20
"""Three whole answers are 21 MB; what may be held is 64 KiB for each client, and its share of the allocator."""
BODY = {"model": "chat", "stream": True, "n": CHOICES, "messages": [{"role": "user", "content": PROMPT}]}


async def test_clients_that_do_not_read_stop_their_upstreams() -> None:
    """Nobody reads the provider meanwhile, memory stays bounded, no deadline strikes, and all text comes in the end."""
    async with SimulationServer(profile=Profile(tokens=TOKENS)) as provider:
        config = (
            "version = 1\n[ledger]\nurl = 'off'\n"  # what its database library takes on its first write is no stream's
            f"[server]\nmax_write_buffer_bytes = 65536\n{provider_table('a', provider.base_url)}"
            f'[routes.chat]\nupstreams = ["a"]\ndeadlines = {{ stall_s = {STALL_S} }}\n'
        )
        with ServeProcess(config) as serve:
            await _warm_up(serve)
            before = psutil.Process(serve.pid).memory_info().rss
            clients = [await _ask(serve) for _ in range(CLIENTS)]
            await provider.wait_until(lambda: provider.in_flight == CLIENTS)
            await _nothing_moves(provider)
            growth = psutil.Process(serve.pid).memory_info().rss - before
            replies = await asyncio.gather(*(_read_all(client) for client in clients))
            assert growth < MAX_GROWTH_BYTES
        assert [record.tokens_sent for record in provider.log][1:] == [CHOICES * TOKENS] * CLIENTS
    for reply in replies:
        assert reply.is_done, reply.error
        texts = dict.fromkeys(range(CHOICES), "")
        for event in reply.events:
            for choice in event["choices"]:
                texts[choice["index"]] += choice["delta"].get("content") or ""
        assert texts == {choice: expected_text(PROMPT, TOKENS, choice) for choice in range(CHOICES)}


async def _ask(serve: ServeProcess, **more: object) -> RawClient:
    """Send the request on a connection that takes little unread."""
    host, _, port = serve.url.removeprefix("http://").rpartition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    client = RawClient(*await asyncio.open_connection(sock=sock, limit=16 * 1024))
    await client.send(post(orjson.dumps(BODY | more)))
    return client


async def _read_all(client: RawClient) -> Reply:
    async with asyncio.timeout(30):
        answer = await client.reply()
    client.writer.transport.abort()
    assert answer is not None
    reply = Reply(answer.status, answer.headers)
    read_stream(answer.body, reply)
    return reply


async def _warm_up(serve: ServeProcess) -> None:
    await _read_all(await _ask(serve, max_tokens=500))


async def _nothing_moves(provider: SimulationServer) -> None:
    """Return once nothing has been written for `PAUSE_S` seconds; every write wakes us."""
    for _ in range(10_000):
        sent = sum(record.tokens_sent for record in provider.log)
        try:
            await provider.wait_until(
                lambda sent=sent: sum(record.tokens_sent for record in provider.log) > sent, timeout_s=PAUSE_S
            )
        except TimeoutError:
            assert provider.in_flight == CLIENTS, "someone gave up"
            return
    raise AssertionError("the providers are still being read")
