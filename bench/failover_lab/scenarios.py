"""What happens to whom: every scenario by its name. A new one is a line here.

Three providers, `a`, `b` and `c`, 0.45, 0.5 and 0.6 s to the first token; trouble begins after a minute, lasts two and
is watched for two more. Trouble is `a`'s unless the scenario says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from failover_lab.weather import WELL, Condition, Provider, Segment, Weather
from failover_lab.world import NORMAL_OUTPUT_TOKENS, NORMAL_PROMPT_TOKENS, Request
from streamroute.core.upstream import LatencyClass, PlanName, Steering

ONSET_S = 60.0
TROUBLE_S = 120.0
AFTERMATH_S = 120.0
RPS = 5.0
"""The rate of the simulations that the targets come from: an LLM route of a small service."""
CAST = (
    Provider(name="a", ttft_s=0.45, tpot_s=0.020),
    Provider(name="b", ttft_s=0.5, tpot_s=0.022),
    Provider(name="c", ttft_s=0.6, tpot_s=0.025),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A stage, and what goes wrong on it. Times are seconds of the run."""

    name: str
    description: str
    providers: Sequence[Provider] = CAST
    faulty: str | None = "a"
    """Whose share tells whether a policy has steered; None: nobody's."""
    onset_s: float = ONSET_S
    trouble_until_s: float = ONSET_S + TROUBLE_S
    ends_s: float = ONSET_S + TROUBLE_S + AFTERMATH_S
    judged_until_s: float | None = None
    """Requests that arrive from the onset until then make the figures of clients; None: until the trouble is over."""
    rps: float = RPS
    steering: Steering = "balanced"
    plan: PlanName = "hedge"
    latency_class: LatencyClass = "interactive"
    burst: float = 1.0
    """Coefficient of variation of the times between arrivals; 1: a Poisson process."""
    prompt_factor: float = 1.0
    """Prompts are this many times as long from the onset until the trouble ends."""

    def requests(self, seed: int, rps: float | None = None) -> list[Request]:
        """Return the run's requests, the same for every policy."""
        draw = Random(seed * 7919 + 17)
        rate = rps or self.rps
        shape = 1 / self.burst**2
        requests, at = list[Request](), 0.0
        while True:
            at += draw.gammavariate(shape, 1 / (rate * shape))
            prompt = NORMAL_PROMPT_TOKENS * draw.lognormvariate(0, 0.4)
            output = NORMAL_OUTPUT_TOKENS * draw.lognormvariate(0, 0.4)
            if at >= self.ends_s:
                return requests
            if self.onset_s <= at < self.trouble_until_s:
                prompt *= self.prompt_factor
            requests.append(
                Request(
                    number=len(requests), arrived_at=at, prompt_tokens=round(prompt),
                    output_tokens=max(10, min(600, round(output))),
                )
            )  # fmt: skip

    def shorter(self) -> "Scenario":
        """Return the same with half of the trouble and of the aftermath."""
        trouble_s, after_s = self.trouble_until_s - self.onset_s, self.ends_s - self.trouble_until_s
        if not after_s:
            return replace(self, trouble_until_s=self.onset_s + trouble_s / 4, ends_s=self.onset_s + trouble_s / 4)
        return replace(self, ends_s=self.trouble_until_s + after_s / 2)


def _cast(
    condition: Condition | None = None,
    *,
    of: Sequence[str] = ("a",),
    more: Mapping[str, Sequence[Segment]] | None = None,
    onset_s: float = ONSET_S,
    until_s: float = ONSET_S + TROUBLE_S,
    **changes: Mapping[str, object],
) -> tuple[Provider, ...]:
    """Return the cast with `condition` on some of them, and `more` segments by name."""
    made = []
    for provider in CAST:
        segments = (
            [Segment(from_s=onset_s, until_s=until_s, condition=condition)] if condition and provider.name in of else []
        )
        segments += (more or {}).get(provider.name, [])
        made.append(replace(provider, weather=Weather(segments=segments), **changes.get(provider.name, {})))  # type: ignore[arg-type]
    return tuple(made)


def _trouble(name: str, description: str, condition: Condition) -> Scenario:
    return Scenario(name=name, description=description, providers=_cast(condition))


def _everywhere(name: str, description: str, condition: Condition) -> Scenario:
    of = [each.name for each in CAST]
    return Scenario(name=name, description=description, providers=_cast(condition, of=of), faulty=None)


def _none(name: str, rps: float, requests: int) -> Scenario:
    ends_s = requests / rps
    return Scenario(
        name=name, description=f"nothing goes wrong, {rps:g} requests/s", faulty=None, rps=rps,
        onset_s=0.0, trouble_until_s=ends_s, ends_s=ends_s,
    )  # fmt: skip


def _always(condition: Condition, of: str) -> tuple[Provider, ...]:
    return tuple(replace(each, weather=Weather(normally=condition)) if each.name == of else each for each in CAST)


def _turns(period_s: float, condition: Condition) -> list[Segment]:
    count = int(TROUBLE_S / period_s / 2)
    return [
        Segment(from_s=ONSET_S + 2 * i * period_s, until_s=ONSET_S + (2 * i + 1) * period_s, condition=condition)
        for i in range(count)
    ]


_END_S = ONSET_S + TROUBLE_S
_RAMP_S = 60.0

_ALL = (
    _none("none", 5.0, 5_000),
    _none("none_0.1", 0.1, 1_000),
    _none("none_1", 1.0, 4_000),
    _none("none_50", 50.0, 20_000),
    _trouble("outage_503", "down, 503 at once", Condition(error=1.0)),
    _trouble("refused", "down, connections refused", Condition(refused=1.0)),
    _trouble("hang", "takes requests and says nothing", Condition(hang=1.0)),
    _trouble("hang_half", "half of the requests get no answer", Condition(hang=0.5)),
    _trouble("hang_after_head", "headers and role, then nothing", Condition(hang_after_head=1.0)),
    _trouble("errors_5", "5 % errors", Condition(error=0.05, status=500)),
    _trouble("errors_20", "20 % errors", Condition(error=0.2, status=500)),
    _trouble("errors_50", "50 % errors", Condition(error=0.5, status=500)),
    _trouble("slow_1_5x", "first tokens 1.5 times as late", Condition(slow=1.5)),
    _trouble("slow_2x", "first tokens twice as late", Condition(slow=2.0)),
    _trouble("slow_3x", "first tokens three times as late", Condition(slow=3.0)),
    Scenario(
        name="ramp",
        description="ever slower, six times after a minute, then down for a minute",
        providers=_cast(
            more={
                "a": [
                    Segment(from_s=ONSET_S, until_s=ONSET_S + _RAMP_S, condition=Condition(slow_to=6.0)),
                    Segment(from_s=ONSET_S + _RAMP_S, until_s=_END_S, condition=Condition(error=1.0)),
                ]
            }
        ),
    ),
    Scenario(
        name="tail_growth",
        description="from 1 to 10 % of the first tokens very late, in steps",
        providers=_cast(
            more={
                "a": [
                    Segment(
                        from_s=ONSET_S + i * 30,
                        until_s=ONSET_S + (i + 1) * 30,
                        condition=Condition(tail=share, tail_from=10, tail_to=40),
                    )
                    for i, share in enumerate((0.02, 0.05, 0.1, 0.1))
                ]
            }
        ),
    ),
    Scenario(
        name="heavy_tail",
        description="2 % of a's first tokens come after 20 to 60 s, always",
        providers=_always(Condition(tail=0.02, tail_from=45, tail_to=130), "a"),
        faulty=None,
        steering="preferred",
    ),
    _trouble("decode_slow", "tokens four times as far apart", Condition(pace=4.0)),
    _trouble("cut", "half of the streams break off, connection lost", Condition(cut=0.5)),
    _trouble("stall", "half of the streams fall silent", Condition(stall=0.5)),
    _trouble("truncated", "half of the streams end without a finish reason", Condition(truncated=0.5)),
    _trouble("stream_error", "half of the streams end with an error event", Condition(stream_error=0.5)),
    _trouble("rate_limit_storm", "87 % 429 with Retry-After", Condition(limited=0.87, retry_after_s=5.0)),
    _trouble("rate_limit_bare", "87 % 429 without Retry-After", Condition(limited=0.87)),
    Scenario(
        name="quota",
        description="60 requests a minute, told by headers, of 100 that would come",
        providers=_cast(Condition(quota_rpm=60)),
    ),
    Scenario(
        name="flapping",
        description="down for 10 s, well for 10 s, in turns",
        providers=_cast(more={"a": _turns(10.0, Condition(error=1.0))}),
    ),
    Scenario(
        name="domain",
        description="a and b share a cloud region, which fails",
        providers=_cast(Condition(error=1.0), of=("a", "b"), a={"domain": "region"}, b={"domain": "region"}),
    ),
    _everywhere("all_30_errors", "all three fail 30 %", Condition(error=0.3)),
    _everywhere("all_slow_3x", "all three are three times as slow", Condition(slow=3.0)),
    Scenario(
        name="cold_capacity",
        description="down; when back, it takes a tenth of its load for 30 s",
        providers=_cast(
            Condition(error=1.0),
            more={
                "a": [Segment(from_s=_END_S, until_s=_END_S + 30, condition=Condition(capacity_rps=0.5))],
            },
        ),
        judged_until_s=_END_S + 60,
    ),
    Scenario(
        name="capacity_coupled",
        description="while a is down, b and c slow down with their load",
        providers=tuple(
            replace(
                each,
                weather=Weather(
                    segments=[Segment(from_s=ONSET_S, until_s=_END_S, condition=Condition(error=1.0))]
                    if each.name == "a"
                    else (),
                    normally=WELL if each.name == "a" else Condition(congestion_at=14.0),
                ),
            )
            for each in CAST
        ),
        judged_until_s=_END_S + 60,
    ),
    Scenario(name="burst", description="bursts of requests, nothing wrong", burst=4.0, faulty=None),
    Scenario(
        name="prompt_shift", description="prompts ten times as long, nothing wrong", prompt_factor=10.0, faulty=None
    ),
    _trouble("auth", "the key is rejected", Condition(auth=1.0)),
    Scenario(
        name="outage_60s",
        description="the preferred one is down for a minute",
        providers=_cast(Condition(error=1.0), until_s=ONSET_S + 60),
        trouble_until_s=ONSET_S + 60,
        steering="preferred",
    ),
)

SCENARIOS: Mapping[str, Scenario] = {each.name: each for each in _ALL}
