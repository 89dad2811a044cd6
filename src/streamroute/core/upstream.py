"""Whom we can ask: upstreams and the routes that clients name.

An upstream is one routable thing: a provider's model under one credential, with its own price, health and
capabilities. Values here are facts from the configuration; what is learned lives in `core.health`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NewType

from streamroute.core.gate import AuditOptions, CallingAssessor, Thresholds

UpstreamId = NewType("UpstreamId", str)
CredentialId = NewType("CredentialId", str)
"""Names the quota that calls draw on, never the secret itself: `<provider>` today."""
ProviderName = NewType("ProviderName", str)

Continuation = Literal["none", "instructed", "prefill", "prefix", "continue_final_message"]
Rung = Literal["prefill", "prefix", "continue_final_message", "instructed", "anew", "restart"]
"""How a cut answer is carried on: the ladder's rungs. `anew`: asked again, and what the client already has must be
the beginning of the new answer; `restart`: asked again, and the client is told that the answer begins anew."""
Sampling = Literal["forward", "drop", "refuse"]
"""What becomes of `temperature` and `top_p`: they are sent, left out, or a reason not to ask."""
Reasoning = Literal["effort", "budget", "drop"]
"""How a wire format that has no `reasoning_effort` says it: by an effort of its own, by a budget of tokens, or not."""
PlanName = Literal["failover", "hedge", "race"]
LatencyClass = Literal["batch", "standard", "interactive", "latency_critical"]
Steering = Literal["preferred", "balanced", "auction"]
"""`preferred`: the first upstream that is well gets everything; `balanced`: shares by speed, price and health;
`auction`: as `preferred`, in the order of what each offers this request (`core.routing.auction`)."""
PolicyName = Literal["quality", "balanced", "economy"]
"""What counts in an auction: see `core.routing.auction`."""
Midstream = Literal["continue", "restart", "error"]
"""What is done about an answer that breaks off after its first token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an upstream's model can do. None: not known, so it is tried rather than ruled out."""

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    files: bool | None = None
    """Documents among the messages, such as PDF."""
    json_schema: bool | None = None
    continuation: Continuation | None = None
    """How an answer that was cut can be carried on."""
    context_tokens: int | None = None
    """Prompt plus answer, in tokens."""
    bills_cancelled_streams: bool | None = None
    """Cancelling a stream does not stop the bill."""
    sampling: Sampling | None = None
    """None: as the provider's quirk says."""
    reasoning: Reasoning | None = None
    """None: as the provider's quirk says."""
    logprobs: bool | None = None
    """It tells the probability of each token where that is asked for. Asked only where it is known to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """US dollars per million tokens; exact decimals, because floats do not add up to a bill."""

    input_per_mtok: Decimal
    output_per_mtok: Decimal
    cached_input_per_mtok: Decimal | None = None
    """Of prompt tokens that the provider had cached; None: like any others."""
    cache_write_per_mtok: Decimal | None = None
    """Of prompt tokens that it cached for later; None: like any others."""
    cache_write_1h_per_mtok: Decimal | None = None
    """Of those that it keeps for an hour (Anthropic); None: like others that it cached."""
    reasoning_per_mtok: Decimal | None = None
    """Of answer tokens that nobody sees; None: like any others."""
    per_request: Decimal = Decimal(0)
    """US dollars a call, whatever its tokens."""
    per_image: Decimal = Decimal(0)
    """US dollars an image of the prompt, beside its tokens."""
    long_context: "tuple[LongContext, ...]" = ()
    """What other prices long prompts have, by length, shortest first."""
    rough_input: float = field(init=False, repr=False, compare=False)
    rough_output: float = field(init=False, repr=False, compare=False)
    """The same as floats, for what ranks and throttles: converting them for ten upstreams was a tenth of a decision."""

    def __post_init__(self) -> None:
        """Convert once."""
        object.__setattr__(self, "rough_input", float(self.input_per_mtok))
        object.__setattr__(self, "rough_output", float(self.output_per_mtok))

    def rough_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what a call costs about: full price for all input, cached or not."""
        price = self
        for longer in self.long_context:
            if input_tokens > longer.above_tokens:
                price = longer.price
        return (input_tokens * price.rough_input + output_tokens * price.rough_output) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LongContext:
    """The price of all tokens of a call whose prompt is longer than so many tokens."""

    above_tokens: int
    price: TokenPrice
    """Without a `long_context` of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityTable:
    """How good an upstream's answers are, as the operator says: the probability, 0..1, that one is right or good
    enough."""

    default: float | None = None
    """In domains that are not listed; None: not known."""
    domains: tuple[tuple[str, float], ...] = ()
    by_domain: Mapping[str, float] = field(init=False, repr=False, compare=False)
    """`domains`, to look up."""

    def __post_init__(self) -> None:
        """Make the mapping once."""
        object.__setattr__(self, "by_domain", dict(self.domains))

    def of(self, domain: str | None) -> float | None:
        """Return the quality in a domain; None where nobody has said."""
        return self.default if domain is None else self.by_domain.get(domain, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One routable thing: provider + model + credential."""

    id: UpstreamId
    provider: ProviderName
    model: str
    """The name the provider knows."""
    credential: CredentialId
    failure_domain: str
    """What fails together; defaults to the provider's name."""
    capabilities: Capabilities = Capabilities()
    price: TokenPrice | None = None
    is_simulated: bool = False
    quality: QualityTable | None = None
    """None: not known."""
    domains: tuple[str, ...] = ()
    """A specialist: it is asked in these domains only. Empty: in all."""
    residency: str | None = None
    """The region that it keeps what it is sent in; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Five separate limits, in seconds, and one for answers that do not stream."""

    connect_s: float = 2.0
    """From the start of an attempt until the request is on its way (DNS, TCP, TLS)."""
    headers_s: float = 10.0
    """From there until the response's status line, for streams."""
    first_token_s: float = 10.0
    """From the start of an attempt until its first content token, for streams."""
    stall_s: float = 5.0
    """Between two content tokens, or two blocks of an answer that does not stream."""
    total_s: float = 300.0
    """From the arrival of the request until its end, over all attempts."""
    answer_s: float = 120.0
    """From the start of an attempt until the status line where the answer does not stream: providers send it
    only when the whole answer is ready. 120 s leaves room for a second attempt within `total_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    """When the same upstream is asked again. The defaults say never: a backup that is well beats waiting."""

    same_upstream: int = 0
    """Further attempts on an upstream that failed transiently, before the next one is asked; 0..5."""
    wait_for_preferred_s: float = 0.0
    """How long a request may wait for the preferred upstream's `Retry-After` or back-off; 0..60."""
    backoff_s: float = 0.25
    """The first wait before the same upstream is asked again; doubles, with jitter of a quarter, up to 2 s; 0..10.
    Half of the OpenAI SDK's 0.5 s: a person waits for these attempts, and there are two at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A name that clients put in `model`, and the upstreams that may serve it."""

    name: str
    upstreams: tuple[UpstreamId, ...]
    """In order of preference; never empty."""
    plan: PlanName = "hedge"
    steering: Steering = "preferred"
    policy: PolicyName | None = None
    """Of a request that names none, in an auction. None: `economy` where a floor of quality is required, so that the
    cheapest that is good enough wins; else `balanced`."""
    latency_class: LatencyClass = "interactive"
    """What a request is worth that names none: how much may be spent on hedges."""
    midstream: Midstream = "continue"
    tiers: tuple[tuple[UpstreamId, ...], ...] = ()
    """The same upstreams, smallest models first: an answer of a tier but the last is judged before it is delivered.
    Empty: all are as good as each other."""
    accept_at: Thresholds = Thresholds()
    tier_policy: str | None = None
    """The file of a fitted policy that says where to begin and what is delivered, as it was written; None: findings and
    what was learned do."""
    assess: tuple[tuple[CallingAssessor, ...], ...] = ()
    """Who is asked beside the answer itself what it is worth, by tier; the last one counts for all that follow. In this
    order, until one has said something."""
    agree_with: UpstreamId | None = None
    """Who is asked the same for `agreement`: a second cheap model, or the same one for a second sample."""
    judge: UpstreamId | None = None
    """Who is asked for `judge`, and grades answers in audits."""
    audit: AuditOptions | None = None
    """None: no audits, so with tiers nothing is learned of domains and nobody is guarded against, and in an auction
    nobody finds out that another one has become better."""
    speculate_after_s: float | None = None
    """Seconds after which the next tier is started beside the one that is at work; None: not before it is over."""
    race_width: int = 2
    """Upstreams that a race starts at once; 2..4."""
    retry: RetryOptions = RetryOptions()
    deadlines: Deadlines = Deadlines()

    def assessors(self, upstream: UpstreamId) -> tuple[CallingAssessor, ...]:
        """Return who is asked what an answer of an upstream is worth."""
        return self.assess[min(self.tier_of(upstream), len(self.assess) - 1)] if self.assess else ()

    def tier_of(self, upstream: UpstreamId) -> int:
        """Return the place of the tier that an upstream is in, 0 for the smallest; 0 where there are no tiers."""
        return next((place for place, tier in enumerate(self.tiers) if upstream in tier), 0)
