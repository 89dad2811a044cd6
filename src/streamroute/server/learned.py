"""What routing has learned: shown in `/status`, forgotten on `POST /admin/routing/reset`.

The body is `{"upstream": "small"}`, `{"domain": "law"}`, or empty for all of it.
"""

from collections.abc import Mapping

import structlog
from aiohttp import web

from streamroute.core.upstream import UpstreamId
from streamroute.engine.learning import Learning
from streamroute.errors import RequestError
from streamroute.server.call import read_body
from streamroute.server.options import ServerOptions
from streamroute.wire.json_text import read_json

PATH = "/admin/routing/reset"
_FIELDS = ("upstream", "domain")
_SHOWN = 20
"""Names in a refusal: clients may make domains up."""

_log = structlog.get_logger(__name__)


def learned_status(learning: Learning) -> list[Mapping[str, object]]:
    """Return what was learned of each upstream in each domain, as plain values."""
    believed = {report.domain: report for report in learning.quality.explain()}
    rows: list[Mapping[str, object]] = []
    for upstream, domain, cell in learning.table.cells():
        report = believed.get(domain or "")
        mean, sd = (None, None) if report is None else (report.means.get(upstream), report.sds.get(upstream))
        rows.append(
            {
                "upstream": upstream,
                "domain": domain,
                "outcomes": cell.count,
                "observed": round(cell.mean, 4),
                "estimate": None if mean is None else round(learning.calibration.probability(mean), 4),
                "sd": None if sd is None else round(sd, 4),
            }
        )
    return rows


def nothing_learned(learning: Learning, upstream: str | None, domain: str | None) -> str | None:
    """Return a sentence where nothing was learned of an upstream, or in a domain, with the names of which there was."""
    name, place = (domain, 1) if upstream is None else (upstream, 0)
    known = sorted({str(cell[place]) for cell in learning.table.cells() if cell[place] is not None})
    if name is None or name in known:
        return None
    if not known:
        return f"Nothing was learned of {name[:100]!r}, nor of anything else."
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"Nothing was learned of {name[:100]!r}; of {', '.join(known[:_SHOWN])}{more} there was."


async def reset(request: web.BaseRequest, options: ServerOptions, learning: Learning) -> dict[str, object]:
    """Forget what a request says; return what was forgotten. Raises RequestError."""
    body = await read_body(request, options)
    try:
        payload = read_json(body) if body.strip() else {}
    except ValueError as error:
        raise RequestError(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(payload, dict):
        raise RequestError("The body must be a JSON object, or empty.", code="invalid_type")
    for name, value in payload.items():
        if name not in _FIELDS:
            raise RequestError(
                f"There is no {name[:40]!r} here, only {' and '.join(_FIELDS)}.",
                param=name[:40],
                code="unknown_parameter",
            )
        if value is not None and not isinstance(value, str):
            raise RequestError(f"`{name}` must be text.", param=name, code="invalid_value")
    upstream, domain = payload.get("upstream"), payload.get("domain")
    if upstream is not None and domain is not None:
        raise RequestError("Give `upstream` or `domain`, or neither for everything.", code="invalid_value")
    unknown = nothing_learned(learning, upstream, domain)
    if unknown is not None:
        param = "domain" if upstream is None else "upstream"
        raise RequestError(unknown, status=404, code="not_found", param=param)
    count = learning.forget(None if upstream is None else UpstreamId(upstream), domain)
    _log.warning("operator.routing_reset", upstream=upstream, domain=domain, outcomes=count)
    return {"upstream": upstream, "domain": domain, "forgotten_outcomes": count}


async def nothing_to_save() -> None:
    """Where nothing is kept on disk."""
