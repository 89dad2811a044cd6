"""Who may call: anyone on loopback as long as there is no key; from then on, whoever shows one.

Keys are those of the configuration and those of the key store. Once the store has held a key, keys are asked for, also
when none of them is live any more: a key that is revoked would work again if nobody were asked for one.
"""

import hmac
from collections.abc import Callable

from aiohttp import web

from streamroute.clock import wall, wall_iso
from streamroute.core.caller import ANYONE, Caller
from streamroute.core.cost.client_key import digest_of
from streamroute.core.cost.key_ring import Barred, KeyRing
from streamroute.errors import ForbiddenError, RequestError
from streamroute.server.options import ServerOptions

_WORDS = {"expired": "expired", "revoked": "was revoked", "replaced": "was replaced by a new one, and ended"}


class KeyCheck:
    """Says who calls."""

    def __init__(self, options: ServerOptions, ring: Callable[[], KeyRing]) -> None:
        """`ring` gives the keys of the store as they are known now."""
        self._digests = tuple(digest_of(key) for key in options.api_keys)
        self._is_open = options.is_loopback
        self._ring = ring

    @property
    def is_asking(self) -> bool:
        """Whether callers must show a key."""
        return bool(self._digests) or not self._is_open or bool(self._ring().keys)

    def check(self, request: web.BaseRequest) -> Caller:
        """Return who calls; raises RequestError 401 unless the request carries a key, where keys are asked for."""
        if not self.is_asking:
            return ANYONE
        given = _given_key(request)
        if not given:
            raise _refused("Missing API key: send one as `Authorization: Bearer KEY` or `x-api-key: KEY`.")
        digest = digest_of(given)
        # Every one is compared, so that the time taken does not tell which one was near.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        if any(matches):
            return ANYONE
        found = self._ring().find(digest, int(wall() * 1000))
        if isinstance(found, Caller):
            return found
        if isinstance(found, Barred):
            since = wall_iso(found.since_ms / 1000)
            text = f"The API key {found.key.name!r} {_WORDS[found.why]} at {since}. Ask for a new one."
            raise _refused(text, code=f"api_key_{found.why}")
        raise _refused("Wrong API key: it is none of the sidecar's own. A provider's key is of no use here.")


def require_admin(caller: Caller) -> None:
    """Raise RequestError 403 for a caller who may not do what operators do."""
    if not caller.is_admin:
        raise ForbiddenError(f"The API key {caller.defaults.key!r} may not use /admin: it needs one with `--admin`.")


def _refused(text: str, *, code: str = "invalid_api_key") -> RequestError:
    return RequestError(text, status=401, code=code)


def _given_key(request: web.BaseRequest) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
