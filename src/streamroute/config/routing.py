"""`[routing]` -> `RoutingOptions` and `RoutingFiles`."""

import hashlib
from pathlib import Path

from streamroute.config.draft import Draft
from streamroute.config.routing_schema import RoutingTable
from streamroute.config.rules import build_rules
from streamroute.config.validate import validate
from streamroute.core.routing.options import RoutingOptions
from streamroute.stores.options import LedgerOptions, RoutingFiles


def routing_table(draft: Draft) -> RoutingTable:
    """Return the table without its rules; problems are reported to `draft`."""
    given = draft.tree.get("routing", {})
    tree: object = given
    if isinstance(given, dict):  # the lists are validated item by item, so that one mistake hides no other
        tree = {key: value for key, value in given.items() if key not in {"rules", "bidders"}}
    return validate(draft, RoutingTable, ("routing",), tree) or RoutingTable()


def build_routing(draft: Draft, table: RoutingTable) -> RoutingOptions:
    """Return how upstreams are matched to requests; problems of rules are reported to `draft`."""
    given = draft.tree.get("routing", {})
    value = table.answer_value_usd
    return RoutingOptions(
        mode=table.mode,
        auto=tuple(table.auto),
        answer_value_usd={"quality": value.quality, "balanced": value.balanced, "economy": value.economy},
        rules=build_rules(draft, given.get("rules", []) if isinstance(given, dict) else []),
    )


def build_routing_files(table: RoutingTable, file: Path, ledger: LedgerOptions) -> RoutingFiles:
    """Return what is written where; paths count from the folder of `file`, the configuration's. Without one of its own
    the state is kept beside the ledger; without a ledger it is not kept."""
    folder = file.absolute().parent
    return RoutingFiles(
        state=_beside(ledger) if table.state is None else folder / Path(table.state).expanduser(),
        save_interval_s=table.save_interval_s,
        log=None if table.log is None else folder / Path(table.log).expanduser(),
        log_max_mb=table.log_max_mb,
        log_keep=table.log_keep,
    )


def _beside(ledger: LedgerOptions) -> Path | None:
    if ledger.url is None or ledger.spool_dir is None:
        return None
    return ledger.spool_dir / f"routing-{hashlib.sha256(ledger.url.encode()).hexdigest()[:16]}.npz"
