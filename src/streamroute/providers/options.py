"""How one provider is addressed: plain values, filled by the configuration from a preset and a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamroute.core.request import WireFormatName
from streamroute.core.upstream import CredentialId, ProviderName, Reasoning, Sampling

AuthScheme = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "none"]
"""How the key is sent: `Authorization: Bearer K`, `api-key: K` (Azure), `x-api-key: K` (Anthropic),
`x-goog-api-key: K` (Google), or not at all."""

UsageOnStream = Literal["ask", "always", "never"]
RateLimitScope = Literal["credential", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Where a provider differs from others of its wire format. Facts about the provider, never code paths."""

    usage_on_stream: UsageOnStream = "ask"
    """`ask`: it wants `stream_options.include_usage`, as OpenAI does. `always`: it counts unasked, or rejects the
    field (Mistral and Cohere answered 4xx to it), so it is not sent. `never`: streams carry no usage."""
    finish_reason_optional: bool = False
    """A stream that ends in `[DONE]` without a finish reason is complete (seen at Snowflake Cortex). Elsewhere that
    is a truncated answer."""
    rate_limit_scope: RateLimitScope = "credential"
    """What a 429 speaks for: everything under the key, or only the model that was asked."""
    takes_google_notes: bool = False
    """Messages may carry `extra_content.google`, signatures of Gemini's thoughts: it is Google, or may pass them on to
    it. Elsewhere they are taken off, for most refuse fields that they do not know."""
    takes_reasoning_details: bool = False
    """It knows `reasoning_details`, in which clients give back Claude's thoughts with their signatures; elsewhere they
    are taken off the messages."""
    bills_cancelled_streams: bool | None = None
    """Cancelling a stream does not stop the bill. None: not known. Source: OpenRouter's list of providers for which
    it can, or cannot, stop the charge by closing the connection."""
    continuation_chat_path: str | None = None
    """Path that accepts a continuation where it is not the usual one, from the host's root (DeepSeek's beta)."""
    default_max_tokens: int = 32_000
    """Asked for where the client sets no limit and the wire format demands one (Anthropic Messages); tokens, 1..10^6.
    32,000: the largest that every model of Anthropic's fourth generation takes; older ones take 4,096 to 8,192."""
    sampling: Sampling = "forward"
    """What becomes of `temperature` and `top_p` at Anthropic Messages. `forward`: they are sent. `drop`: they are left
    out. `refuse`: an upstream is not asked with other values than 1, which is the default. API version 2026-10-21 and
    models since Claude Opus 4.7 take none."""
    reasoning: Reasoning = "effort"
    """What becomes of `reasoning_effort` there. `effort`: adaptive thinking with that effort (Claude 4.6 and later).
    `budget`: a budget of thinking tokens (up to Claude 4.6). `drop`: it is left out (models that do not think)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """How an embedded simulated provider answers when its script says nothing else."""

    ttft_s: float = 0.3
    """Seconds to the first content token, 0..60. 0.3 s: what a fast hosted model shows, and pleasant to watch."""
    tokens_per_s: float = 50.0
    """Speed of the rest of the answer, above 0, at most 10000. 50: a mid-sized hosted model."""
    answer_tokens: int = 60
    """Length of an answer, 1..100000. 60: about three sentences, a second of streaming."""
    seed: int = 1
    """Same seed, same texts and timings."""
    script: Path | None = None
    """A file of faults to play; None answers well for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """One provider, ready to be called. The key and the headers stay out of `repr`."""

    name: ProviderName
    kind: str
    """The preset it came from, a key of `providers.presets.PRESETS`."""
    base_url: str
    """Without trailing slash. Empty for a simulated provider until it is started and its port is known."""
    wire_format: WireFormatName = "openai_chat"
    auth: AuthScheme = "bearer"
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request, beside those of the wire format."""
    chat_path: str = "/chat/completions"
    """Appended to `base_url`."""
    quirks: Quirks = Quirks()
    price_list: str | None = None
    """Under which name genai-prices has its prices; None: nowhere."""
    residency: str | None = None
    """The region that it keeps what it is sent in; None: not known."""
    simulation: SimulationOptions | None = None

    @property
    def is_simulated(self) -> bool:
        """Answers are made up."""
        return self.simulation is not None

    @property
    def credential(self) -> CredentialId:
        """Name of the quota behind the key; never the key."""
        return CredentialId(self.name)
