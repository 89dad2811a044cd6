"""`/livez` and `/readyz`, in the style of Kubernetes' own API server.

Liveness says that this process and its event loop work; no provider has a say in it. Readiness says whether new
requests should come here.
"""

from collections.abc import Mapping

from aiohttp import web

from streamroute.server.replies import text_reply


def probe_reply(request: web.BaseRequest, checks: Mapping[str, str | None]) -> web.Response:
    """Answer a probe. `checks` maps names to None (well) or to what is wrong; `?exclude=NAME` leaves one out."""
    excluded = set(request.query.getall("exclude", []))
    failing = {name: wrong for name, wrong in checks.items() if wrong is not None and name not in excluded}
    status = 503 if failing else 200
    if "verbose" not in request.query:
        return text_reply(
            "ok" if status == 200 else "; ".join(f"{name}: {why}" for name, why in failing.items()), status=status
        )
    lines = []
    for name, wrong in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        else:
            lines.append(f"[+]{name} ok" if wrong is None else f"[-]{name} failed: {wrong}")
    lines.append(f"{request.path.strip('/')} check {'passed' if status == 200 else 'failed'}")
    return text_reply("\n".join(lines) + "\n", status=status)
