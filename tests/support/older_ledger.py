"""A ledger as an earlier version has left it."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from streamroute.stores import migrations
from streamroute.stores.database import open_engine, transaction


def take_back(url: str, revision: str) -> None:
    """Take steps back until `revision`; what only later ones know is lost."""
    engine = open_engine(url)
    with transaction(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()
