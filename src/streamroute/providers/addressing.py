"""Where a provider is and what it is sent beside the body: the same for every wire format."""

from collections.abc import Collection, Mapping

from streamroute import __version__
from streamroute.providers.options import AuthScheme, ProviderOptions
from streamroute.providers.transport import HttpRequest

FORWARDED_HEADERS = frozenset({"openai-beta", "anthropic-beta", "traceparent", "tracestate"})
"""Client headers that providers may see, in lower case. Everything else stays here, credentials above all."""
ATTEMPT_HEADER = "x-streamroute-attempt"
"""Which call for the same request this is, from 1 on, over all sidecars on its way: ours to set, and heeded where it
comes in. Three layers that try three times each are 27 calls (Google SRE book, Addressing Cascading Failures)."""

_SHORTEST_SECRET = 8
"""Characters. Shorter values are placeholders (`none`, `local`) or no secrets, and would blank ordinary words."""
_KEY_HEADERS: dict[AuthScheme, str] = {
    "bearer": "Authorization",
    "api-key": "api-key",
    "x-api-key": "x-api-key",
    "x-goog-api-key": "x-goog-api-key",
}


class Addressing:
    """Writes the HTTP requests to one provider."""

    def __init__(self, options: ProviderOptions, headers: Mapping[str, str] | None = None) -> None:
        """`headers`: those of the wire format; configured ones of the same name take their place."""
        self.base_url = options.base_url
        configured = {name.lower() for name in options.headers}
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # compressed streams arrive in lumps
            "User-Agent": f"streamroute/{__version__}",
            **{name: value for name, value in (headers or {}).items() if name.lower() not in configured},
            **options.headers,
        }
        candidates = [options.api_key or "", *options.headers.values()]
        self.secrets: Collection[str] = tuple(each for each in candidates if len(each) >= _SHORTEST_SECRET)
        """What providers must not get to repeat: the key, and the values of configured headers."""
        if options.api_key is not None and options.auth != "none":
            prefix = "Bearer " if options.auth == "bearer" else ""
            self._headers[_KEY_HEADERS[options.auth]] = prefix + options.api_key

    def post(self, url: str, body: bytes, forwarded: Mapping[str, str], *, stream: bool) -> HttpRequest:
        """Write a request for an answer."""
        accept = "text/event-stream" if stream else "application/json"
        return HttpRequest(url=url, headers={**self._headers, "Accept": accept, **forwarded}, body=body)

    def get(self, path: str) -> HttpRequest:
        """Write a request for what stands at a path below `base_url`."""
        headers = {name: value for name, value in self._headers.items() if name != "Content-Type"}
        return HttpRequest(url=self.base_url + path, method="GET", headers={**headers, "Accept": "application/json"})
