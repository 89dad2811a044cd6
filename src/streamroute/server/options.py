"""How the server listens, whom it lets in and how patient it is."""

import ipaddress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Settings of the HTTP side. Ranges are checked by the configuration, with file and line."""

    host: str = "127.0.0.1"
    """Where to listen. Loopback by default: a sidecar serves its own machine."""
    port: int = 8700
    """0..65535; 0 takes a free one and prints it. 8700: not the default port of any local LLM server in
    `providers.presets`."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys that clients may send, beside those of the key store. Where there are none at all everyone is let in, which
    only a loopback address may."""
    cors_origins: tuple[str, ...] = ()
    """Browser origins that may call, such as `https://app.example`; `*` for any. Empty: none."""
    keepalive_s: float = 10.0
    """Silence on a stream after which an SSE comment is sent, 0..300 s; 0 never. 10 s: well below the 30-60 s idle
    limits of common load balancers, and the product's promise to clients."""
    max_body_bytes: int = 32 * 1024 * 1024
    """Largest request body, 1 KiB..1 GiB. 32 MiB holds a dozen images as base64; more is answered 413."""
    header_timeout_s: float = 10.0
    """From accepting a connection until its request's headers are complete, 0.1..300 s; then it is closed. 10 s: a
    client on a poor network manages, a slow-loris does not hold a socket long."""
    body_timeout_s: float = 30.0
    """From the headers until the body is complete, 0.1..3600 s; then 408. 32 MiB in 30 s is 9 Mbit/s."""
    drain_delay_s: float = 0.0
    """After SIGTERM, how long new requests are still accepted while `/readyz` says no, 0..300 s. 0: a sidecar has no
    load balancer in front of it that must notice first."""
    drain_timeout_s: float = 30.0
    """After SIGTERM, how long live streams may go on, 0..3600 s. 30 s: Kubernetes' default grace period."""
    cost_in_usage: bool = True
    """Tell what a request has cost as `usage.cost`, in US dollars, where an answer tells its usage. On: OpenRouter's
    clients read it there, and the official SDK passes it on."""
    max_write_buffer_bytes: int = 262_144
    """Unsent bytes of one response above which its upstream is no longer read, 4 KiB..64 MiB. 256 KiB: some 20 s of
    a fast stream (60 chunks a second of 200 bytes)."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address; a name other than `localhost` counts as reachable."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
