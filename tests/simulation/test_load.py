"""Load from real clients: results tell the truth about what arrived."""

import pytest

from streamroute.simulation.faults import (
    Cut,
    EmptyAnswer,
    ErrorStatus,
    Fault,
    MalformedEvent,
    NoResponse,
    Reset,
    StreamError,
)
from streamroute.simulation.load import LoadOptions, LoadResult, run_load
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text

both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@both
async def test_good_answers_are_exact(*, stream: bool) -> None:
    """Every request is made once, with a prompt of its own, and checked."""
    seen: list[LoadResult] = []
    async with SimulationServer() as server:
        options = LoadOptions(model="m", requests=20, concurrency=4, tokens=30, stream=stream)
        results = await run_load(server.base_url, options, seen.append)
        assert seen == results
        assert all(result.is_exact and result.status == 200 and result.error is None for result in results)
        assert all(result.text == expected_text(result.prompt, 30) for result in results)
        assert all(0 < result.ttft_s <= result.duration_s for result in results)
        assert len({result.prompt for result in results}) == 20
        assert max(record.ordinal for record in server.log) == 19


async def test_open_loop_keeps_its_rate_and_its_end() -> None:
    """With a rate requests begin by the clock, not by the answers; after `duration_s` none begins."""
    async with SimulationServer() as server:
        results = await run_load(server.base_url, LoadOptions(model="m", requests=20, rate=500))
        assert len(results) == 20
        results = await run_load(server.base_url, LoadOptions(model="m", requests=10**6, rate=200, duration_s=0.1))
        assert 2 < len(results) < 60
        results = await run_load(server.base_url, LoadOptions(model="m", requests=10**6, duration_s=0.05))
        assert 0 < len(results) < 10**4


@both
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ErrorStatus(status=503), "HTTP 503"),
        (ErrorStatus(status=502, body="html"), "HTTP 502"),
        (Reset(), "reset"),
        (Cut(at_token=3), "not completed"),
        (Cut(at_token=3, how="close"), "not completed"),
        (MalformedEvent(), "malformed"),
        (StreamError(message="boom"), "boom"),
        (EmptyAnswer(shape="no_choices"), "without a finish reason"),
        (NoResponse(), "no end after"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
async def test_failures_are_results(fault: Fault, words: str, *, stream: bool) -> None:
    """Whatever goes wrong, the load goes on and says what the client saw."""
    async with SimulationServer(fault) as server:
        options = LoadOptions(
            model="m", requests=2, stream=stream, timeout_s=0.1 if isinstance(fault, NoResponse) else 5
        )
        for result in await run_load(server.base_url, options):
            assert not result.is_complete
            assert words in result.error


async def test_silent_loss_is_seen() -> None:
    """An answer that looks complete but lacks its text is not exact."""
    async with SimulationServer(EmptyAnswer()) as server:
        (result,) = await run_load(server.base_url, LoadOptions(model="m", requests=1))
        assert (result.is_complete, result.is_exact) == (True, False)
        assert result.lost_chars == len(expected_text(result.prompt, 16))


async def test_nobody_listens() -> None:
    """A refused connection is a result too."""
    async with SimulationServer() as server:
        pass
    (result,) = await run_load(server.base_url, LoadOptions(model="m", requests=1))
    assert (result.status, result.is_complete) == (None, False)
    assert "Connect" in result.error


@pytest.mark.parametrize("fields", [{"requests": 0}, {"concurrency": 0}, {"rate": 0}])
def test_unbounded_load_is_refused(fields: dict[str, int]) -> None:
    """Options that make no sense are refused before anything is sent."""
    with pytest.raises(ValueError, match="must be"):
        LoadOptions(model="m", **fields)
