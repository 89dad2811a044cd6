"""`[server]` -> `ServerOptions`: the address, who may come in through it, and browser origins."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from streamroute.config.credentials import refuse_literal
from streamroute.config.draft import Draft
from streamroute.config.model import Config
from streamroute.config.schema import ServerTable
from streamroute.errors import ConfigError, Problem
from streamroute.server.options import ServerOptions

_LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d{1,5})")
_MAX_PORT = 65_535
_CREATE_KEY = "streamroute keys create NAME"
FIX_LINE = 'api_keys = ["${STREAMROUTE_API_KEY}"]'
"""What to add under `[server]` to listen beyond loopback."""


def build_server(draft: Draft, table: ServerTable, *, has_ledger: bool) -> ServerOptions:
    """Return the options; report an address that cannot be, or one that would let the world in.

    Where there is a ledger it can hold keys: whether it does is asked at the start (`require_keys`).
    """
    host, port = _address(draft, table.listen)
    keys = tuple(_key(draft, position, key) for position, key in enumerate(table.api_keys))
    for position, origin in enumerate(table.cors_origins):
        _check_origin(draft, position, origin)
    options = ServerOptions(
        host=host or "127.0.0.1",
        port=port,
        api_keys=keys,
        cors_origins=tuple(table.cors_origins),
        keepalive_s=table.keepalive_s,
        max_body_bytes=table.max_body_bytes,
        header_timeout_s=table.header_timeout_s,
        body_timeout_s=table.body_timeout_s,
        drain_delay_s=table.drain_delay_s,
        drain_timeout_s=table.drain_timeout_s,
        cost_in_usage=table.cost_in_usage,
        max_write_buffer_bytes=table.max_write_buffer_bytes,
    )
    if not has_ledger and not keys and not options.is_loopback:
        draft.report(("server", "listen"), _lets_everyone_in(options))
    return options


def require_keys(config: Config, live: int, trouble: str | None) -> None:
    """Raise ConfigError for an address beyond this machine without a key, where the store has so many `live` ones.

    `trouble`: why the store could not be read.
    """
    server = config.server
    if server.api_keys or server.is_loopback or live:
        return
    reason = "" if config.ledger.url is None else f"; or make a key: {_CREATE_KEY}"
    if trouble is not None:
        reason = f"; the keys of the ledger cannot be read: {trouble}"
    problem = Problem(path="server.listen", message=_lets_everyone_in(server) + reason, file=str(config.file))
    raise ConfigError([problem])


def _lets_everyone_in(server: ServerOptions) -> str:
    return (
        f"listening on {server.host} lets in everyone who can reach it; add under [server]: {FIX_LINE}"
        " (or listen on 127.0.0.1)"
    )


def _address(draft: Draft, listen: str) -> tuple[str, int]:
    match = _LISTEN.fullmatch(f"127.0.0.1:{listen}" if listen.isdecimal() else listen)
    if not match or int(match["port"]) > _MAX_PORT:
        draft.report(("server", "listen"), 'expected "HOST:PORT" with a port of 0..65535, such as "127.0.0.1:8700"')
        return "", 0
    return match["v6"] or match["host"], int(match["port"])


def _key(draft: Draft, position: int, key: SecretStr) -> str:
    path = ("server", "api_keys", position)
    value = key.get_secret_value().strip()
    refuse_literal(draft, path, value, example="${STREAMROUTE_API_KEY}")
    if not value:
        draft.report(path, "is empty, which would let everyone in")
    return value


def _check_origin(draft: Draft, position: int, origin: str) -> None:
    if origin == "*":
        return
    parts = urlsplit(origin)
    if not parts.scheme or not parts.netloc or parts.path or parts.query:
        draft.report(("server", "cors_origins", position), 'expected "*" or an origin such as "https://app.example"')
