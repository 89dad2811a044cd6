"""What one call costs at one price: integers, multiplied and added."""

from dataclasses import dataclass
from decimal import Decimal

from streamroute.core.money import MAX_MONEY, Money, money, per_token
from streamroute.core.upstream import TokenPrice
from streamroute.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """Picodollars a token, an image and a call."""

    input: Money
    output: Money
    cached_input: Money
    cache_write: Money
    cache_write_1h: Money
    reasoning: Money
    per_request: Money
    per_image: Money
    long_context: "tuple[tuple[int, Price], ...]" = ()
    """What prompts longer than so many tokens cost, longest first."""

    @classmethod
    def of(cls, price: TokenPrice) -> "Price":
        """Compile a price; a kind without its own one costs what the tokens that it is part of cost.

        Raises ValueError for one with too many decimals.
        """
        input_, output = per_token(price.input_per_mtok), per_token(price.output_per_mtok)
        cache_write = _or(price.cache_write_per_mtok, input_)
        return cls(
            input=input_,
            output=output,
            cached_input=_or(price.cached_input_per_mtok, input_),
            cache_write=cache_write,
            cache_write_1h=_or(price.cache_write_1h_per_mtok, cache_write),
            reasoning=_or(price.reasoning_per_mtok, output),
            per_request=money(price.per_request),
            per_image=money(price.per_image),
            long_context=tuple((longer.above_tokens, cls.of(longer.price)) for longer in reversed(price.long_context)),
        )

    def at(self, input_tokens: int) -> "Price":
        """Return the price of a call with so long a prompt."""
        for above, price in self.long_context:
            if input_tokens > above:
                return price
        return self

    def cost(self, usage: Usage, images: int = 0) -> Money:
        """Return what one call costs. Parts that exceed what they are part of are cut to it."""
        price = self.at(usage.input_tokens) if self.long_context else self
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        kept = min(usage.cache_write_1h_tokens, written)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        amount = (
            (usage.input_tokens - cached - written) * price.input
            + cached * price.cached_input
            + (written - kept) * price.cache_write
            + kept * price.cache_write_1h
            + (usage.output_tokens - reasoning) * price.output
            + reasoning * price.reasoning
            + images * price.per_image
            + price.per_request
        )
        return Money(min(amount, MAX_MONEY))


def _or(given: Decimal | None, else_: Money) -> Money:
    return else_ if given is None else per_token(given)
