"""Keeping a conversation with one upstream, so that the provider's prompt cache is of use.

Rendezvous hashing (Thaler and Ravishankar, 1998): every upstream draws a number from the key and its own name, and
the highest wins. Nothing is stored, every sidecar comes to the same answer, and when an upstream drops out only its
own conversations move.
"""

from collections.abc import Iterable
from hashlib import blake2b

from streamroute.core.upstream import UpstreamId

KEPT_AT = 1 / 3
"""A conversation stays where it is while its upstream's weight is at least this share of the best: losing a cache
multiplies the prompt's price by four to ten at the providers that publish a price for cached tokens."""


def rendezvous(key: str, upstreams: Iterable[UpstreamId]) -> UpstreamId | None:
    """Return the upstream that `key` belongs to, whatever their order; None where there are none."""
    prefix = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8)
    best: tuple[bytes, UpstreamId] | None = None
    for upstream in upstreams:
        hashed = prefix.copy()
        hashed.update(b"\0" + upstream.encode("utf-8", "surrogatepass"))
        drawn = (hashed.digest(), upstream)
        if best is None or drawn > best:
            best = drawn
    return None if best is None else best[1]
