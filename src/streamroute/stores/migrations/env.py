"""What alembic runs: the steps, on the connection that `stores.migrate` hands it."""

from alembic import context

from streamroute.stores.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
