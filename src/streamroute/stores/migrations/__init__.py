"""The schema's history, for alembic. Migrations are packaged, and run when the ledger is opened."""
