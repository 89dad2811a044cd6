"""Finds one request in the ledger, with what was said of its answer."""

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import RowMapping, select

from streamroute.core.cost.entry import QualityEntry, RequestEntry
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.migrate import HEAD, version
from streamroute.stores.schema import QUALITY, REQUESTS

_REQUEST = tuple(field.name for field in fields(RequestEntry))
_QUALITY = tuple(field.name for field in fields(QualityEntry))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """A request as the ledger has it."""

    request: RequestEntry
    quality: tuple[QualityEntry, ...]


def find_request(url: str, ledger_id: str, timeout_s: float) -> KeptRequest | None:
    """Return a request, None where there is none of that id; raises StoreError, also after `timeout_s`. Blocks."""
    engine = open_engine(url, is_reader=True, timeout_s=timeout_s)
    try:
        with transaction(engine) as connection:
            if version(connection) != HEAD:
                raise StoreError("there is no ledger of this version yet")
            found = select(*(REQUESTS.c[name] for name in _REQUEST)).where(REQUESTS.c.ledger_id == ledger_id)
            row = connection.execute(found).mappings().one_or_none()
            if row is None:
                return None
            said = select(*(QUALITY.c[name] for name in _QUALITY)).where(QUALITY.c.ledger_id == ledger_id)
            return KeptRequest(
                request=RequestEntry(**_named(row)),
                quality=tuple(QualityEntry(**_named(each)) for each in connection.execute(said).mappings()),
            )
    finally:
        engine.dispose()


def _named(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}
