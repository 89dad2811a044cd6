"""Cross-origin requests from browser front ends: WHATWG Fetch, section 3.3 "CORS protocol". Off unless configured."""

from collections.abc import Collection

from aiohttp import web

_LIMITS = [
    f"x-ratelimit-{figure}-{kind}" for kind in ("requests", "tokens") for figure in ("limit", "remaining", "reset")
]
_EXPOSED = ", ".join(
    [
        "x-request-id", "x-streamroute-upstream", "x-streamroute-provider", "x-streamroute-attempts",
        "x-streamroute-cost-usd", "x-streamroute-budget-warning", "server-timing", "retry-after", *_LIMITS,
    ]
)  # fmt: skip
_MAX_AGE_S = 600
"""How long a browser may remember a preflight: the longest that Chromium before 76 honoured."""


class Cors:
    """Decides about origins."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """Return the headers for a reply to this request; none for an origin that may not read it."""
        origin = request.headers.get("origin")
        if origin is None or not self._origins & {origin, "*"}:
            return {}
        allowed = "*" if "*" in self._origins else origin
        return {"access-control-allow-origin": allowed, "access-control-expose-headers": _EXPOSED, "vary": "origin"}

    def refuses(self, request: web.BaseRequest) -> bool:
        """Return whether the request comes from a web page of an origin that is not configured.

        A page can send a POST without a preflight and spend the user's money without reading the reply.
        """
        origin = request.headers.get("origin")
        return origin is not None and not self._origins & {origin, "*"}

    def preflight(self, request: web.BaseRequest) -> web.Response:
        """Answer an OPTIONS request."""
        headers = self.headers(request)
        if headers:
            headers["access-control-allow-methods"] = "GET, POST, OPTIONS"
            asked = request.headers.get("access-control-request-headers", "*")
            headers["access-control-allow-headers"] = asked if asked.isascii() else "*"
            headers["access-control-max-age"] = str(_MAX_AGE_S)
        return web.Response(status=204, headers=headers)
