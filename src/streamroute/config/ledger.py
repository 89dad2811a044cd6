"""`[ledger]` -> `LedgerOptions`. By default a file of SQLite where programs keep their state."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path as FilePath

from streamroute.config.draft import Draft
from streamroute.config.schema import LedgerTable
from streamroute.stores.options import LedgerOptions

OFF = "off"
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_EXAMPLE = 'expected "sqlite:///path", "postgresql://user@host/database" or "off"'


def build_ledger(draft: Draft, table: LedgerTable, environ: Mapping[str, str]) -> LedgerOptions:
    """Return where entries go; problems are reported to `draft`."""
    state = _state_dir(environ)
    url, path = table.url, ("ledger", "url")
    if url is None:
        url = OFF if state is None else f"{_SQLITE}{state / 'ledger.db'}"
    spool = None if table.spool_dir is None else draft.file.parent / table.spool_dir
    if url == OFF:
        return LedgerOptions()
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        file = draft.file.absolute().parent / FilePath(url.removeprefix(_SQLITE)).expanduser()
        url, spool = f"{_SQLITE}{file}", spool or file.parent
    elif url.startswith(_POSTGRES):
        if find_spec("psycopg") is None:
            draft.report(path, "PostgreSQL needs an extra: pip install 'streamroute[postgres]'")
        url, spool = f"postgresql+psycopg://{url.partition('://')[2]}", spool or state
        if spool is None:
            draft.report(("ledger", "spool_dir"), "is missing; without HOME there is no default for it")
    else:
        draft.report(path, _EXAMPLE)
    return LedgerOptions(url=url, flush_interval_s=table.flush_interval_s, keep_days=table.keep_days, spool_dir=spool)


def _state_dir(environ: Mapping[str, str]) -> FilePath | None:
    """Return this program's folder by the XDG base directory specification; None where the environment has no home."""
    state, home = environ.get("XDG_STATE_HOME"), environ.get("HOME") or environ.get("USERPROFILE")
    if state and FilePath(state).is_absolute():
        return FilePath(state) / "streamroute"
    return FilePath(home) / ".local" / "state" / "streamroute" if home else None
