"""From the name in `model` to the upstreams that may serve this caller, or the error that says what it may use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from streamroute.core.caller import Caller
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.decision import Rejected
from streamroute.core.routing.matching import Matched
from streamroute.core.routing.refusal import refusal, unmet
from streamroute.core.routing.route import Catalog, Unknown, find_route, nearest
from streamroute.core.routing.scope import may_ask, may_serve, visible_names
from streamroute.core.upstream import ProviderName, Route, Upstream
from streamroute.errors import ForbiddenError, RequestError, UnmetError
from streamroute.providers.provider import Provider

_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """Among whom a request may choose."""

    route: Route
    upstreams: Sequence[Upstream]
    rejected: tuple[Rejected, ...] = ()
    """Of the route, those that the caller's key leaves out, or whose wire format cannot say what is asked."""


def choose(model: str, catalog: Catalog, caller: Caller) -> Choice:
    """Return among whom there is to choose; raises RequestError 403, 404 or 503."""
    if not may_ask(caller, model):
        raise _forbidden(model, catalog, caller)
    found = find_route(model, catalog)
    if isinstance(found, Unknown):
        raise _not_found(found, visible_names(catalog, caller))
    route, upstreams = found
    if caller.upstreams is None:
        return Choice(route, upstreams)
    fit = [each for each in upstreams if may_serve(caller, each)]
    if not fit:
        raise _forbidden(model, catalog, caller)
    reason = f"the key {caller.defaults.key!r} may not use it"
    left_out = tuple([Rejected(upstream=each.id, reason=reason) for each in upstreams if not may_serve(caller, each)])
    return Choice(route, fit, left_out)


def translatable(choice: Choice, chat: ChatRequest, providers: Mapping[ProviderName, Provider]) -> Choice:
    """Return the choice without upstreams whose wire format cannot say what is asked; `upstreams` may be empty then."""
    reasons = [(each, providers[each.provider].why_not(chat, each)) for each in choice.upstreams]
    left_out = [Rejected(upstream=each.id, reason=reason) for each, reason in reasons if reason is not None]
    if not left_out:
        return choice
    fit = [each for each, reason in reasons if reason is None]
    return replace(choice, upstreams=fit, rejected=(*choice.rejected, *left_out))


def nobody(model: str, rejected: Sequence[Rejected], matched: Matched | None = None) -> RequestError:
    """Return the error (400) that says why none of the upstreams can serve a request, or meets what it requires."""
    if matched is not None and matched.bids:
        return UnmetError(
            f"No upstream of {model!r} meets what this request requires. {refusal(matched)}",
            route=model,
            requirements=unmet(matched),
        )
    reasons = "; ".join(f"{each.upstream}: {each.reason}" for each in rejected)
    return RequestError(
        f"No upstream of {model!r} can serve this request ({reasons}). "
        "Ask another model, or leave out what it cannot do; where the configuration is wrong about that, correct its "
        "`capabilities`.",
        code="unsupported_by_route",
        param="model",
    )


def check_region(asked: Requirements, floor: Requirements | None, *, whose: str, route: str) -> None:
    """Raise UnmetError where a client asks for another region than an operator's word (`whose`) holds it to: to go by
    either one would break the other's promise."""
    held_to = None if floor is None else floor.residency
    if held_to is not None and asked.residency not in (None, held_to):
        raise UnmetError(
            f"This request is to stay in {asked.residency}, but {whose} holds its requests to {held_to}. "
            "Leave its residency out, or ask with another key or route.",
            route=route,
            requirements=("residency",),
        )


def _forbidden(model: str, catalog: Catalog, caller: Caller) -> ForbiddenError:
    names = visible_names(catalog, caller)
    usable = _listed(names) if names else "nothing that is configured here"
    return ForbiddenError(f"The key {caller.defaults.key!r} may not use {model!r}; it may use {usable}.", param="model")


def _not_found(unknown: Unknown, names: Sequence[str]) -> RequestError:
    if unknown.disabled_because is not None:
        return RequestError(
            f"The model {unknown.name!r} is configured but disabled: {unknown.disabled_because}.",
            status=503,
            code="model_disabled",
            param="model",
            type_="server_error",
            is_final=True,
        )
    near = nearest(unknown.name, names)
    hint = f"Did you mean {near!r}? " if near is not None else ""
    return RequestError(
        f"The model {unknown.name!r} does not exist: it is no route, no upstream and no `provider/model`. "
        f"{hint}There are {_listed(names)}; `GET /v1/models` lists them all.",
        status=404,
        code="model_not_found",
        param="model",
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_NAMES_SHOWN])}{', ...' if len(names) > _NAMES_SHOWN else ''}"
