"""`[[budgets]]` -> `BudgetLine`s."""

from streamroute.config.draft import Draft
from streamroute.config.locate import Path
from streamroute.config.schema import BudgetTable
from streamroute.config.validate import validate
from streamroute.core.cost.budget_line import BudgetLine, Scope, Window, parse_amount
from streamroute.core.money import Money


def build_budgets(draft: Draft) -> tuple[BudgetLine, ...]:
    """Return all budgets of the file; problems are reported to `draft`."""
    given = draft.tree.get("budgets", [])
    if not isinstance(given, list):
        draft.report(("budgets",), "expected tables such as [[budgets]]")
        return ()
    lines: dict[tuple[Scope, str | None, Window], BudgetLine] = {}
    for index, value in enumerate(given):
        path: Path = ("budgets", index)
        table = validate(draft, BudgetTable, path, value)
        line = None if table is None else _line(draft, path, table)
        if line is None:
            continue
        if line.identity in lines:
            draft.report(path, "there is one for the same scope, name and window already")
        lines[line.identity] = line
    return tuple(lines.values())


def _line(draft: Draft, path: Path, table: BudgetTable) -> BudgetLine | None:
    if table.scope == "global" and table.name is not None:
        draft.report((*path, "name"), "a global budget has no name: it is everybody's")
        return None
    try:
        limit, window = parse_amount(table.amount)
    except ValueError as error:
        draft.report((*path, "amount"), str(error))
        return None
    return BudgetLine(
        scope=table.scope,
        name=table.name,
        limit=limit,
        warn_at=None if table.warn_at is None else Money(round(limit * table.warn_at)),
        window=window,
        may_use_unpriced=table.may_use_unpriced,
    )
