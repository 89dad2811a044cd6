"""What of a catalog a caller may use: its key can be limited to routes and to upstreams."""

from streamroute.core.caller import Caller
from streamroute.core.routing.route import Catalog, Unknown, find_route
from streamroute.core.upstream import Upstream


def may_ask(caller: Caller, name: str) -> bool:
    """Return whether a caller may put `name` in `model`, whatever it is."""
    return caller.routes is None or name in caller.routes


def may_serve(caller: Caller, upstream: Upstream) -> bool:
    """Return whether an upstream may serve a caller."""
    return caller.upstreams is None or upstream.id in caller.upstreams


def is_visible(name: str, catalog: Catalog, caller: Caller) -> bool:
    """Return whether a caller may ask for `name`, and there is somebody who may serve it."""
    found = find_route(name, catalog)
    return (
        may_ask(caller, name)
        and not isinstance(found, Unknown)
        and any(may_serve(caller, upstream) for upstream in found[1])
    )


def visible_names(catalog: Catalog, caller: Caller) -> list[str]:
    """Return what a caller can put in `model`, routes first."""
    if caller.routes is None and caller.upstreams is None:
        return catalog.names()
    return [name for name in catalog.names() if is_visible(name, catalog, caller)]
