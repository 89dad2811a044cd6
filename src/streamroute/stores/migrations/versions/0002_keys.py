"""The table of clients' keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.Column("rotated_at_ms", sa.BigInteger),
        sa.Column("previous_digest", sa.Text),
        sa.Column("previous_until_ms", sa.BigInteger),
        sa.Column("team", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("routes", sa.Text),
        sa.Column("upstreams", sa.Text),
        sa.Column("requests_per_min", sa.BigInteger),
        sa.Column("tokens_per_min", sa.BigInteger),
        sa.Column("budgets", sa.Text, nullable=False),
        sa.Column("may_use_unpriced", sa.Boolean, nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("writes", sa.BigInteger, nullable=False),
    )
    op.create_index("keys_by_digest", "keys", ["digest"], unique=True)
    is_kept = sa.text("revoked_at_ms IS NULL")
    op.create_index("keys_by_name", "keys", ["name"], unique=True, sqlite_where=is_kept, postgresql_where=is_kept)


def downgrade() -> None:
    """Drop it, and with it all keys."""
    op.drop_table("keys")
