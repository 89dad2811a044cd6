"""What one request would see, as a value: the pure twin of playing a fault on a connection.

A discrete-event simulation walks a timeline; the simulated provider plays the same script on sockets. Both draw by
the same keys, so they tell the same story. All times are seconds since the attempt began.

    head_s     role      ttft_s   +tpot_s +tpot_s  (gaps)        end_s
      |----------|---------|--------|-------|------........--------|  done, reset, eof, hang or error_event
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from streamroute.core.rate_limit import RateLimitReport
from streamroute.simulation.seeded import fraction

TimelineEnding = Literal["done", "reset", "eof", "hang", "error_event"]
TimelineEventKind = Literal["refused", "connected", "head", "role", "token", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """Something that the client of the provider could notice."""

    at_s: float
    kind: TimelineEventKind
    token: int = 0
    """0-based index of a `token`; else the number of tokens so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One request from its beginning to its end. The default is an instant answer without content."""

    connect_s: float = 0.0
    """Until the connection stands, or is refused."""
    is_refused: bool = False
    """No connection: the attempt fails at `connect_s`."""
    head_s: float | None = 0.0
    """When the status line comes; None: never."""
    status: int | None = 200
    """None: no response."""
    retry_after_s: float | None = None
    """What the response asks for; None: it names none."""
    rate_limit: RateLimitReport | None = None
    """What the response's headers say is left; None: they say nothing."""
    has_role: bool = True
    """Whether a role delta follows the head at once; streams only."""
    ttft_s: float | None = None
    """When the first content token comes; None: none does. Of a whole answer: as if it were a stream."""
    tpot_s: float = 0.0
    """Between two tokens, gaps and jitter aside."""
    tokens: int = 0
    """Content tokens of the good answer."""
    gaps: tuple[tuple[int, float], ...] = ()
    """(token, seconds): so much more silence before that token, 0-based."""
    jitter: float = 0.0
    """Each `tpot_s` is multiplied by a seeded factor in [1 - jitter, 1 + jitter]."""
    draw_key: tuple[int, int] = (0, 0)
    """(seed, draw) of that factor."""
    ending: TimelineEnding = "done"
    """`done`: complete by HTTP's rules and, with status 200, by the answer's (a short answer has `ends_at_token` below
    `tokens`). `reset`: the connection is lost. `eof`: a correct end of the body in the middle of the answer, or
    a body that is no answer. `hang`: silence for good. `error_event`: an error object under status 200."""
    ends_at_token: int = 0
    """Content tokens that are delivered before the ending."""
    pause_s: float = 0.0
    """Silence between the last thing that was sent and the ending."""
    is_stream: bool = True
    """False: nothing comes before the whole answer is ready, at `head_s`."""

    @property
    def is_good(self) -> bool:
        """Whether the client gets the whole answer."""
        return self.status == 200 and self.ending == "done" and self.tokens > 0 and self.ends_at_token == self.tokens

    @property
    def end_s(self) -> float | None:
        """When it is over; None: never, unless the client leaves."""
        if self.ending == "hang":
            return None
        if self.head_s is None or self.is_refused:
            return self.connect_s + self.pause_s
        if self.ends_at_token and self.is_stream:
            return max(self.head_s, self.token_at_s(self.ends_at_token - 1)) + self.pause_s
        return self.head_s + self.pause_s

    def token_at_s(self, token: int) -> float:
        """Return when content token `token` (0-based) is due, were it sent at all; raises ValueError without one."""
        if self.ttft_s is None:
            raise ValueError("this timeline has no first token")
        at_s = self.ttft_s + sum(seconds for before, seconds in self.gaps if before <= token)
        if not self.jitter or not self.tpot_s:
            return at_s + token * self.tpot_s
        return at_s + sum(self._step_s(step) for step in range(1, token + 1))

    def token_times(self) -> Iterator[float]:
        """Yield when each delivered token comes, in order."""
        if not self.ends_at_token or self.ttft_s is None:
            return
        if not self.is_stream:
            yield from [self.head_s or 0.0] * self.ends_at_token
            return
        extra_s = dict[int, float]()
        for token, seconds in self.gaps:
            extra_s[token] = extra_s.get(token, 0.0) + seconds
        at_s = self.ttft_s + extra_s.get(0, 0.0)
        yield at_s
        for token in range(1, self.ends_at_token):
            at_s += self._step_s(token) + extra_s.get(token, 0.0)
            yield at_s

    def events(self) -> Iterator[TimelineEvent]:
        """Yield everything that can be noticed, in order; after a `hang` nothing more comes, not even an end."""
        if self.is_refused:
            yield TimelineEvent(at_s=self.connect_s + self.pause_s, kind="refused")
            return
        yield TimelineEvent(at_s=self.connect_s, kind="connected")
        if self.head_s is not None:
            yield TimelineEvent(at_s=self.head_s, kind="head")
            if self.is_stream and self.has_role and self.status == 200:
                yield TimelineEvent(at_s=self.head_s, kind="role")
        for token, at_s in enumerate(self.token_times()):
            yield TimelineEvent(at_s=at_s, kind="token", token=token)
        if self.end_s is not None:
            yield TimelineEvent(at_s=self.end_s, kind="end", token=self.ends_at_token)

    def tokens_by(self, at_s: float) -> int:
        """Return how many tokens have come by then, inclusive."""
        if not self.ends_at_token or self.ttft_s is None or at_s < self.ttft_s:
            return 0
        if self.gaps or self.jitter or not self.is_stream or not self.tpot_s:
            return sum(1 for one in self.token_times() if one <= at_s)
        return min(self.ends_at_token, 1 + int((at_s - self.ttft_s) / self.tpot_s + 1e-9))

    def max_gap_s(self) -> float:
        """Return the longest silence between two delivered tokens; 0 with fewer than two, or a whole answer."""
        if self.ends_at_token < 2 or not self.is_stream:
            return 0.0
        if not self.gaps and not self.jitter:
            return self.tpot_s
        times = list(self.token_times())
        return max(later - earlier for earlier, later in pairwise(times))

    # How faults bend it ---------------------------------------------------------------------------------------------

    def paced(self, *, ttft_s: float, tpot_s: float) -> "Timeline":
        """Return the same with another pace; a whole answer is ready when its last token would be."""
        bent = replace(self, ttft_s=ttft_s, tpot_s=tpot_s)
        return bent if self.is_stream else replace(bent, head_s=bent.token_at_s(max(1, bent.tokens) - 1))

    def slowed(self, factor: float, tpot_factor: float = 1.0) -> "Timeline":
        """Return the same with its times multiplied; without a first token there is nothing to slow down."""
        if self.ttft_s is None:
            return self
        return self.paced(ttft_s=self.ttft_s * factor, tpot_s=self.tpot_s * tpot_factor)

    def stopped(self, token: int, ending: TimelineEnding) -> "Timeline":
        """Return the same, ended after `token` content tokens; a whole answer: after the head, at half of its time."""
        if not self.is_stream:
            return replace(
                self, head_s=self.token_at_s(max(1, round(self.tokens * 0.5)) - 1), ending=ending, ends_at_token=0
            )
        token = min(token, self.tokens)
        return replace(self, ending=ending, ends_at_token=token, ttft_s=self.ttft_s if token else None)

    def refused(self, status: int, *, after_s: float = 0.0, retry_after_s: float | None = None) -> "Timeline":
        """Return an HTTP error instead of the answer."""
        return replace(
            self.silent(),
            head_s=self.connect_s + after_s,
            status=status,
            rate_limit=self.rate_limit,
            retry_after_s=retry_after_s,
            ending="done",
        )

    def silent(self) -> "Timeline":
        """Return the request without any response, ever."""
        return replace(
            self, head_s=None, status=None, ttft_s=None, gaps=(), ending="hang", ends_at_token=0, rate_limit=None
        )

    def _step_s(self, step: int) -> float:
        return self.tpot_s * jitter_factor(self.jitter, *self.draw_key, step)


def jitter_factor(jitter: float, seed: int, draw: int, step: int) -> float:
    """Return the seeded factor of one wait, in [1 - jitter, 1 + jitter]; step 0 is the first token."""
    return 1 + jitter * (2 * fraction(seed, draw, "pace", step) - 1) if jitter else 1.0
