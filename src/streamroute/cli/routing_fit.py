"""`streamroute routing fit`: a tier policy for one route, from recorded outcomes of its models.

Exit codes: 0 written, 1 no policy can be had from these outcomes, 2 usage, 69 (EX_UNAVAILABLE) a file cannot be read or
written, 78 (EX_CONFIG) the configuration is wrong.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.table import Table

from streamroute.cli.routing_state import ConfigFile
from streamroute.cli.usage import EXIT_UNAVAILABLE, config_or_exit
from streamroute.cli.whole_table import print_whole
from streamroute.config.model import Config
from streamroute.core.health.attempt_budget import attempt_cost_usd
from streamroute.core.routing.learned.fitted_policy import lead
from streamroute.core.routing.learned.outcome_rows import Outcome, Row
from streamroute.core.routing.learned.policy_fit import Figures, FitError, PolicyFit, fit_policy
from streamroute.core.routing.learned.tier_policy import PolicyKind
from streamroute.core.upstream import Route, Upstream
from streamroute.errors import StoreError
from streamroute.stores.outcome_files import read_outcomes
from streamroute.stores.state_file import save_state

KINDS: Mapping[PolicyKind, str] = {
    "router": "asks one tier and delivers",
    "cascade": "begins with the smallest",
    "hybrid": "may begin anywhere",
}
_MOST_SHOWN = 8


def fit(
    route: Annotated[str, typer.Argument(help="Of the configuration, with `tiers`.")],
    *,
    outcomes: Annotated[
        list[Path],
        typer.Option("--outcomes", help="JSON lines, or NAME.queries.jsonl.gz of a data set; repeat it for several."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The policy: an .npz file.")] = Path("policy.npz"),
    keep_quality: Annotated[
        float,
        typer.Option("--keep-quality", min=0.0, max=2.0, help="The least ratio of qualities, against the last tier."),
    ] = 1.0,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a tier policy on recorded outcomes: where requests begin, which answers are delivered.

    Put it to use with `tier_policy` of the route.
    """
    loaded = config_or_exit(config)
    of = _route(loaded, route)
    try:
        rows = [row for path in outcomes for row in read_outcomes(path, _Prices(loaded, of))]
        named, unknown = _by_tier(rows, of, loaded)
        typer.echo(f"fitting on {len(named)} questions", err=True)
        found = fit_policy(named, of.tiers, keep_quality, output.name)
        save_state(output, found.fitted.state())
    except FitError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    if as_json:
        typer.echo(json.dumps(_document(found, route, unknown), indent=2))
    else:
        _print(found, unknown)
    beside = os.path.relpath(output, loaded.file.parent)
    typer.echo(f'{output} is written; put tier_policy = "{beside}" into [routes.{route}]', err=True)


def _route(config: Config, name: str) -> Route:
    """Return the route; leaves the program where no policy can be fitted for it."""
    written, of = config.tiers.get(name), config.routes.get(name)
    if written is None:
        raise typer.BadParameter(
            f"there is no route {name!r} in {config.file}; there are {', '.join(config.tiers) or 'none'}"
        )
    if len(written) < 2:
        raise typer.BadParameter(f"route {name!r} has {len(written) or 'no'} tiers; a policy needs two or more")
    if of is None or of.tiers != written:
        off = [each for tier in written for each in tier if of is None or each not in of.upstreams]
        raise typer.BadParameter(
            f"{', '.join(off)} of route {name!r} is disabled, and a policy speaks of all tiers. Set the keys that "
            "`streamroute check` misses; nobody is asked anything, so any value will do"
        )
    return of


class _Prices:
    """What the configuration's models charge."""

    def __init__(self, config: Config, route: Route) -> None:
        self._known = _named(config, route)

    def __call__(self, name: str, input_tokens: int, output_tokens: int) -> float | None:
        """Return US dollars; None where the configuration has no price, 0 for models that are no part of the route."""
        upstream = self._known.get(name)
        if upstream is None:
            return 0.0  # what it costs is of no interest
        return None if upstream.price is None else attempt_cost_usd(upstream, input_tokens, output_tokens)


def _named(config: Config, route: Route) -> dict[str, Upstream]:
    """Return the route's upstreams by their names, and by their models' where that is no upstream's name."""
    known = [config.upstreams[name] for name in route.upstreams if name in config.upstreams]
    return {**{each.model: each for each in reversed(known)}, **{each.id: each for each in known}}


def _by_tier(rows: Sequence[Row], route: Route, config: Config) -> tuple[list[Row], dict[str, int]]:
    """Return the rows with the outcomes of a tier under the name of its first upstream, and how many outcomes are of
    models that are no part of the route."""
    leads = lead(route.tiers)
    names = {name: leads[route.tier_of(each.id)] for name, each in _named(config, route).items()}
    unknown = Counter(name for row in rows for name in row.outcomes if name not in names)
    return [replace(row, outcomes=_renamed(row.outcomes, names)) for row in rows], dict(unknown)


def _renamed(outcomes: Mapping[str, Outcome], names: Mapping[str, str]) -> dict[str, Outcome]:
    found = {f"({name})": each for name, each in outcomes.items() if name not in names}
    for name, each in outcomes.items():
        if name in names and (name == names[name] or names[name] not in found):
            found[names[name]] = each
    return found


def _document(found: PolicyFit, route: str, unknown: Mapping[str, int]) -> dict[str, object]:
    policy = found.fitted
    return {
        "route": route,
        "tiers": policy.tiers,
        "rows": found.rows,
        "partial_rows": found.partial,
        "left_out": found.left_out,
        "other_models": unknown,
        "domains": found.domains,
        "wanted_ratio": round(found.wanted_ratio, 4),
        "kind": policy.policy.kind,
        "quality_points_per_usd": round(found.price, 4),
        "always": {name: _rounded(each) for name, each in zip(lead(policy.tiers), found.always, strict=True)},
        "expected": {kind: _rounded(each) for kind, each in found.expected.items()},
    }


def _rounded(figures: Figures) -> dict[str, object]:
    return {
        name: round(each, 4) if isinstance(each, float) else [round(one, 4) for one in each]
        for name, each in asdict(figures).items()
    }


def _print(found: PolicyFit, unknown: Mapping[str, int]) -> None:
    policy, names = found.fitted, lead(found.fitted.tiers)
    typer.echo(f"{found.rows} questions with an outcome of every tier, {found.partial} with some")
    for reason, many in found.left_out.items():
        typer.echo(f"{many} left out: {reason}")
    if unknown:
        typer.echo(f"of other models, whose outcomes tell only how hard a question is: {_counts(unknown)}")
    typer.echo(f"domains: {_counts(found.domains)}\n")
    table = Table(box=None, pad_edge=False)
    for column in ("", "quality", "ratio", "95 %", "saved", "95 %", *names):
        table.add_column(column, justify="right" if column else "left")
    for name, each in zip(names, found.always, strict=True):
        table.add_row(f"always {name}", *_cells(each))
    for kind in get_args(PolicyKind):
        is_chosen = kind == policy.policy.kind
        name = f"{kind}: {KINDS[kind]}{' *' if is_chosen else ''}"
        table.add_row(name, *_cells(found.expected[kind]), style="bold" if is_chosen else None)
    print_whole(table)
    typer.echo(
        f"\n* chosen: it saves most of those that keep a ratio of {found.wanted_ratio:.3f} on these questions, each "
        "served by models that have not seen it"
    )


def _counts(by_name: Mapping[str, int]) -> str:
    shown = list(by_name.items())
    more = f", and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return ", ".join(f"{name or '(none)'} {many}" for name, many in shown[:_MOST_SHOWN]) + more


def _cells(each: Figures) -> list[str]:
    low, high = each.quality_ratio_interval
    least, most = each.saving_interval
    return [
        f"{each.quality:.3f}",
        f"{each.quality_ratio:.3f}",
        f"{low:.3f}-{high:.3f}",
        f"{100 * each.saving:.1f} %",
        f"{100 * least:.1f}-{100 * most:.1f}",
        *(f"{100 * share:.0f} %" for share in each.tier_shares),
    ]
