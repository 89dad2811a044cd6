"""What a call has cost, and what one may cost at most: the charge rule and the price book together.

A price that a reload has taken away is still known for the calls that were under way, one of an upstream that is gone
for the requests that were, and neither for any new one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.cost.charge import Charge, charge
from streamroute.core.cost.price_book import PriceBook, Quote
from streamroute.core.money import NOTHING, Money
from streamroute.core.observation import AttemptObservation, Charged
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Capabilities, ProviderName, Upstream, UpstreamId
from streamroute.core.usage import Usage

BYTES_PER_TOKEN = 3
"""Of a prompt, for what it may cost at most. English text has four and more; the JSON around it and other languages
have fewer. Images in base64 are counted far too high this way: what is reserved too much comes back."""
UNLIMITED_OUTPUT_TOKENS = 4096
"""What an answer is held to have at most whose length nobody has limited: the limit that most hosted models had by
default for years. One that is longer exceeds its reservation by the rest."""
_UNKNOWN = Capabilities()
_NO_CHARGE = Charge(Usage(), is_counted=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What prices are found by, as a configuration has them."""

    prices: PriceBook
    find: Callable[[UpstreamId], Upstream | None]
    """Returns the upstream of that name."""


def assumed_answer_tokens(chat: ChatRequest) -> int | None:
    """Return how many tokens the answer is held to have at most, all choices together; None where the request limits
    it itself."""
    return UNLIMITED_OUTPUT_TOKENS * chat.choices if chat.longest_output_tokens is None else None


class Pricing:
    """Puts a price on calls. Times are wall-clock milliseconds."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        """Those of now."""

    def apply(self, terms: Terms) -> None:
        """Go by new terms; the old ones stay for what began under them."""
        self.terms = terms

    def begun(self, upstream: UpstreamId, since: Terms) -> Terms:
        """Return the terms under which a call begins now, of a request that began under `since`."""
        return since if self.terms.find(upstream) is None else self.terms

    def charged(self, observation: AttemptObservation, begun: Terms, at_ms: int) -> Charged:
        """Return what a call that ended at `at_ms` is charged, and what that costs; `begun`: the terms under which it
        did. Those of now count where they know a price."""
        name = observation.upstream
        upstream = self.terms.find(name) or begun.find(name)
        made = charge(observation, _UNKNOWN if upstream is None else upstream.capabilities)
        if made is None:
            return Charged(usage=_NO_CHARGE.usage, is_counted=False, cost=NOTHING, price_source=None)
        model, provider, tier = observation.model, observation.provider, observation.tier
        quote = self._quote(begun, name, provider, model, tier, at_ms)
        cost: Money | None = None
        source: str | None = None
        if quote is not None:
            cost, source = quote.price.cost(made.usage, made.images), quote.source
        elif upstream is not None and upstream.is_simulated:
            cost, source = NOTHING, "simulated"
        return Charged(usage=made.usage, is_counted=made.is_counted, cost=cost, price_source=source)

    def cost(self, upstream: Upstream, chat: ChatRequest, usage: Usage, begun: Terms, at_ms: int) -> Money | None:
        """Return what a call for `chat` costs that ends now, by what the provider has counted, as `charged` will; None
        where nobody knows."""
        tier = usage.tier or chat.service_tier
        quote = self._quote(begun, upstream.id, upstream.provider, upstream.model, tier, at_ms)
        if quote is None:
            return NOTHING if upstream.is_simulated else None
        return quote.price.cost(usage, chat.images)

    def most(self, upstream: Upstream, chat: ChatRequest, at_ms: int) -> Money | None:
        """Return what one call to `upstream` may cost at most; None where nobody knows its price."""
        quote = self.terms.prices.find(upstream.id, upstream.provider, upstream.model, chat.service_tier, at_ms)
        if quote is None:
            return NOTHING if upstream.is_simulated else None
        longest = chat.longest_output_tokens or UNLIMITED_OUTPUT_TOKENS * chat.choices
        tokens = -(-chat.prompt_bytes // BYTES_PER_TOKEN)
        price = quote.price.at(tokens)
        # Whatever kind of input or output it turns out to be.
        input_ = max(price.input, price.cached_input, price.cache_write, price.cache_write_1h)
        output = max(price.output, price.reasoning)
        around = chat.images * price.per_image + price.per_request
        return Money(tokens * input_ + longest * output + around)

    def _quote(
        self, begun: Terms, name: UpstreamId, provider: ProviderName, model: str, tier: str | None, at_ms: int
    ) -> Quote | None:
        quote = self.terms.prices.find(name, provider, model, tier, at_ms)
        if quote is None and begun is not self.terms:
            quote = begun.prices.find(name, provider, model, tier, at_ms)
        return quote
