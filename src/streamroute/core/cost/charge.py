"""What of an attempt is paid for: the one rule, for the ledger, for budgets and for metrics.

the provider has counted                        what it counted; of an answer that did not end, at least what is
                                                paid for below where it has not
it was never reached, or failed by itself
    before it produced anything                 nothing
we ended it: unwanted, or too late              its prompt and what it had produced; where cancelling does not
                                                stop the bill, at least a whole expected answer, or the
                                                longest that was asked for where that is shorter
it broke off by itself                          its prompt and what it had produced
it is whole, and nobody has counted             its prompt, and a token for every four bytes or each chunk
"""

from dataclasses import dataclass, replace

from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import FailureKind
from streamroute.core.upstream import Capabilities
from streamroute.core.usage import Usage

BYTES_PER_TOKEN = 4
"""Of a whole answer that nobody has counted, the JSON around it included: as OpenAI says of English text."""
EXPECTED_OUTPUT_TOKENS = 200
"""Of an answer whose length nobody knows: the middle of what public traces show (129 to 350)."""

_TOO_LATE: frozenset[FailureKind] = frozenset(
    {"headers_timeout", "first_token_timeout", "answer_timeout", "stall", "total_timeout"}
)


@dataclass(frozen=True, slots=True)
class Charge:
    """Tokens that are paid for."""

    usage: Usage
    is_counted: bool
    """By the provider; else it is our own count: the prompt by its size, the answer by its chunks."""
    images: int = 0
    """Of the prompt; nobody counts them but we."""


def charge(observation: AttemptObservation, capabilities: Capabilities) -> Charge | None:
    """Return what is paid for, or None where it is nothing."""
    produced, failure, counted = observation.content_events, observation.failure, observation.usage
    was_ended_by_us = observation.outcome == "cancelled" or (failure is not None and failure.kind in _TOO_LATE)
    bills_on = was_ended_by_us and capabilities.bills_cancelled_streams is True
    most = observation.max_output_tokens
    expected = EXPECTED_OUTPUT_TOKENS if most is None else min(most, EXPECTED_OUTPUT_TOKENS)
    if counted is not None:
        is_last = observation.outcome == "succeeded" or observation.is_whole
        least = 0 if is_last else max(produced, expected if bills_on else 0)
        if least <= counted.output_tokens:
            return Charge(counted, is_counted=True, images=observation.images)
        # It has counted early, and more came: one who always leaves before the end must not read for nothing.
        return Charge(replace(counted, output_tokens=least), is_counted=False, images=observation.images)
    if observation.outcome == "succeeded" and not produced:  # a whole answer of a provider that does not count
        produced = max(1, observation.received_bytes // BYTES_PER_TOKEN)
    was_reached = observation.connect_s is not None or produced > 0
    if bills_on and was_reached:
        produced = max(produced, expected)
    if not produced and not (was_reached and was_ended_by_us):
        return None
    usage = Usage(input_tokens=observation.prompt_tokens, output_tokens=produced)
    return Charge(usage, is_counted=False, images=observation.images)
