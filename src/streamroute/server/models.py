"""`GET /v1/models` and `/v1/models/{id}`: what clients can put in `model`, routes first."""

from streamroute.core.routing.route import Catalog, Unknown, find_route
from streamroute.errors import RequestError


def list_models(catalog: Catalog, created: int) -> dict[str, object]:
    """Return OpenAI's list object; `created` is seconds since the epoch."""
    return {"object": "list", "data": [_model(name, catalog, created) for name in catalog.names()]}


def one_model(name: str, catalog: Catalog, created: int) -> dict[str, object]:
    """Return one model, also one named as `provider/model`; raises RequestError 404."""
    if isinstance(find_route(name, catalog), Unknown):
        nearest = catalog.nearest(name)
        hint = f" Did you mean {nearest!r}?" if nearest is not None else ""
        raise RequestError(
            f"The model {name!r} does not exist.{hint}", status=404, code="model_not_found", param="model"
        )
    return _model(name, catalog, created)


def _model(name: str, catalog: Catalog, created: int) -> dict[str, object]:
    found = find_route(name, catalog)
    upstreams = () if isinstance(found, Unknown) else found[1]
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "streamroute",
        "streamroute": {
            "kind": "route" if name in catalog.routes else "upstream",
            "upstreams": [upstream.id for upstream in upstreams],
            "is_simulated": any(upstream.is_simulated for upstream in upstreams),
        },
    }
