"""`POST /admin/upstreams/{id}/{action}`: what operators do to an upstream while the sidecar runs.

    drain    no new requests, running ones finish
    enable   undo `drain`
    open     open the breaker, and keep it open until it is closed here
    close    close the breaker, and forget what was held against the upstream

`{id}` is a configured name, or `provider/model`.
What is done here is not written to the configuration: a restart forgets it, a reload does not.
"""

import difflib
from typing import get_args

import structlog

from streamroute.clock import now
from streamroute.core.health.board import HealthBoard, OperatorAction
from streamroute.core.routing.route import Catalog, find_upstream
from streamroute.core.upstream import Upstream
from streamroute.errors import RequestError

PREFIX = "/admin/upstreams/"
_ACTIONS: tuple[OperatorAction, ...] = get_args(OperatorAction)

_log = structlog.get_logger(__name__)


def operate(path: str, catalog: Catalog, board: HealthBoard) -> Upstream:
    """Do what `path`, which begins with `PREFIX`, says; return the upstream. Raises RequestError 404."""
    name, _, said = path.removeprefix(PREFIX).rpartition("/")
    action = next((action for action in _ACTIONS if action == said), None)
    if action is None:
        raise _not_found(f"There is no action {said[:200]!r}", said, _ACTIONS)
    upstream = find_upstream(name, catalog)
    if upstream is None:
        raise _not_found(f"There is no upstream {name[:200]!r}", name, tuple(catalog.upstreams))
    board.operate(upstream, action, now())
    _log.warning("operator.action", upstream=upstream.id, action=action)
    return upstream


def _not_found(text: str, name: str, known: tuple[str, ...]) -> RequestError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else f" There are {', '.join(known)}."
    return RequestError(f"{text}.{hint}", status=404, code="not_found")
