"""What a person says of a key, checked: names, and routes and upstreams against the configuration."""

from collections.abc import Sequence

import typer

from streamroute.config.model import Config
from streamroute.config.suggestion import suggestion
from streamroute.core.attribution import MAX_NAME_CHARS, name_of
from streamroute.core.requirements import Requirements
from streamroute.core.upstream import ProviderName, UpstreamId
from streamroute.errors import RequestError
from streamroute.wire.requirements import FIELD, take_requirements


def checked_name(name: str, hint: str) -> None:
    """Raise BadParameter for a name that nothing could be attributed to as it is."""
    if name_of(name) != name or not name.isprintable():
        text = f"{name[:MAX_NAME_CHARS]!r} is no name: 1 to {MAX_NAME_CHARS} characters, no blanks around them"
        raise typer.BadParameter(text, param_hint=hint)


def checked_requirements(given: Sequence[str]) -> Requirements:
    """Return what `NAME=VALUE` texts require; raises BadParameter."""
    values: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or name in values:
            raise typer.BadParameter(f"{text!r} is not one NAME=VALUE for each name", param_hint="--require")
        if name == "task":
            raise typer.BadParameter("what a key's requests are for is said by --task", param_hint="--require")
        values[name] = value
    try:
        return take_requirements({FIELD: values})
    except RequestError as error:
        raise typer.BadParameter(error.message, param_hint="--require") from None


def checked_scope(
    config: Config, routes: Sequence[str] | None, upstreams: Sequence[str] | None
) -> tuple[frozenset[str] | None, frozenset[UpstreamId] | None]:
    """Return what a key may ask for and who may serve it; raises BadParameter for what is not configured.

    What is configured but disabled may be named: keys outlive a missing credential.
    """
    disabled = {kind: [each.name for each in config.disabled if each.kind == kind] for kind in ("route", "upstream")}
    ids = (*config.upstreams, *disabled["upstream"])
    auto = () if config.auto is None else (config.auto.name,)
    names = (*config.routes, *auto, *disabled["route"], *ids)
    for name in routes or ():
        if name not in names and not _is_model_of_provider(name, config):
            raise typer.BadParameter(f"there is no route {name!r}{suggestion(name, names)}", param_hint="--route")
    for name in upstreams or ():
        if name not in ids and not _is_model_of_provider(name, config):
            raise typer.BadParameter(f"there is no upstream {name!r}{suggestion(name, ids)}", param_hint="--upstream")
    return (
        frozenset(routes) if routes else None,
        frozenset(_id_of(name, config) for name in upstreams) if upstreams else None,
    )


def _is_model_of_provider(name: str, config: Config) -> bool:
    provider, _, model = name.partition("/")
    return bool(model) and ProviderName(provider) in config.providers


def _id_of(name: str, config: Config) -> UpstreamId:
    """Return the upstream that `provider/model` stands for where it is configured."""
    provider, _, model = name.partition("/")
    for id_, upstream in config.upstreams.items():
        if id_ != name and (upstream.provider, upstream.model) == (provider, model):
            return id_
    return UpstreamId(name)
