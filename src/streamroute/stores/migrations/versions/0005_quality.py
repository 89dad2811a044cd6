"""How good answers turned out to be, and what routing knew of the requests."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OF_REQUESTS = (("domain", sa.Text), ("route_tier", sa.Integer), ("predicted", sa.Float), ("propensity", sa.Float))


def upgrade() -> None:
    """Create the table, and add the columns; nobody knows them of what is there already."""
    for name, kind in _OF_REQUESTS:
        op.add_column("requests", sa.Column(name, kind))
    op.create_table(
        "quality",
        sa.Column("ledger_id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("upstream", sa.Text, primary_key=True),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("domain", sa.Text),
        sa.Column("route_tier", sa.Integer),
        sa.Column("predicted", sa.Float),
    )
    op.create_index("quality_by_end", "quality", ["ended_at_ms"])


def downgrade() -> None:
    """Drop both."""
    op.drop_table("quality")
    for name, _ in _OF_REQUESTS:
        op.drop_column("requests", name)
