"""A load, and what came of it: values that travel to the load client's process and back as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.mock_provider import ANSWER

__all__ = ["ANSWER", "Load", "LoadResult", "percentile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send to whom."""

    port: int = 0
    model: str = "bench"
    stream: bool = True
    connections: int = 1
    """Opened before the clock starts. A load with `rate_per_s` opens more where all of them are busy."""
    chunks: int = 100
    """Content chunks of each stream."""
    delay_us: int = 0
    """Microseconds between them."""
    seconds: float = 0.0
    """How long new requests are sent; those under way are waited for. 0: each connection sends one."""
    rate_per_s: float | None = None
    """Requests start at this steady rate. None: each connection sends its next one when it has its answer."""
    limit_s: float = 60.0
    """When to give up and count what is under way as failed."""
    cpu_of: dict[str, int] = field(default_factory=dict)
    """Process ids whose CPU clocks are read at the load's start and end, by a name of choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What was measured. Latencies are microseconds; 0 where nothing was measured."""

    requests: int
    """Answers that were whole: right status, every chunk once and in order, finish reason, `[DONE]`, end."""
    failed: int
    failures: list[str]
    """What was wrong with the first few."""
    chunks: int
    elapsed_s: float
    cpu_s: dict[str, float]
    """CPU seconds by process; `client` is the load client itself."""
    first_p50_us: float
    first_p99_us: float
    """From sending a request to its first content: the first chunk, or the whole answer."""
    chunk_p50_us: float
    chunk_p99_us: float
    """From the provider's write of a chunk to its arrival at the client."""
    total_p50_us: float
    total_p99_us: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0..1) of all lie at or below; 0 where there are none. Nearest rank."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
