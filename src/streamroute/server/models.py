"""`GET /v1/models` and `/v1/models/{id}`: what a client can put in `model`, routes first."""

from streamroute.core.caller import Caller
from streamroute.core.routing.route import Catalog, Unknown, find_route, nearest
from streamroute.core.routing.scope import is_visible, may_serve, visible_names
from streamroute.errors import RequestError


def list_models(catalog: Catalog, caller: Caller, created: int) -> dict[str, object]:
    """Return OpenAI's list object; `created` is seconds since the epoch."""
    names = visible_names(catalog, caller)
    return {"object": "list", "data": [_model(name, catalog, caller, created) for name in names]}


def one_model(name: str, catalog: Catalog, caller: Caller, created: int) -> dict[str, object]:
    """Return one model, also one named as `provider/model`; raises RequestError 404, also for what is out of bounds."""
    if not is_visible(name, catalog, caller):
        near = nearest(name, visible_names(catalog, caller))
        hint = f" Did you mean {near!r}?" if near is not None else ""
        raise RequestError(
            f"The model {name!r} does not exist.{hint}", status=404, code="model_not_found", param="model"
        )
    return _model(name, catalog, caller, created)


def _model(name: str, catalog: Catalog, caller: Caller, created: int) -> dict[str, object]:
    found = find_route(name, catalog)
    upstreams = () if isinstance(found, Unknown) else found[1]
    usable = [upstream for upstream in upstreams if may_serve(caller, upstream)]
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "streamroute",
        "streamroute": {
            "kind": "upstream" if name in catalog.upstreams or "/" in name else "route",
            "upstreams": [upstream.id for upstream in usable],
            "is_simulated": any(upstream.is_simulated for upstream in usable),
        },
    }
