"""Who may call: nothing to show on loopback by default, one of the configured keys otherwise."""

import hmac
from collections.abc import Sequence

from aiohttp import web

from streamroute.errors import RequestError


class KeyCheck:
    """Compares keys in constant time."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)

    def check(self, request: web.BaseRequest) -> None:
        """Raise RequestError 401 unless the request carries a key, where keys are asked for."""
        if not self._keys:
            return
        given = _given_key(request).encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time taken does not tell which one was near.
        matches = [hmac.compare_digest(given, key) for key in self._keys]
        if not any(matches):
            raise RequestError(
                "Missing or wrong API key: send one of the sidecar's own keys (`server.api_keys`) as "
                "`Authorization: Bearer KEY`.",
                status=401,
                code="invalid_api_key",
            )


def _given_key(request: web.BaseRequest) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
