"""Sums of each day, which outlive the attempts and requests themselves; `stores.rollup` fills them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_GROUPED = ("task", "user", "team", "key", "route", "upstream", "provider", "model", "tier", "cause", "fate")
_SUMS = (
    "requests",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_high",
    "cost_low",
    "unpriced_attempts",
)


def upgrade() -> None:
    """Create them, and say that they are still to be filled."""
    op.create_table(
        "rollups",
        sa.Column("is_by_user", sa.Boolean, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text) for name in _GROUPED),
        sa.Column("is_collapsed", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "rollups_collapsed",
        "rollups",
        ["is_by_user", "day"],
        sqlite_where=sa.text("is_collapsed = 1"),
        postgresql_where=sa.text("is_collapsed"),
    )
    state = op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("pruned_before_ms", sa.BigInteger, nullable=False),
        sa.Column("is_rolled_up", sa.Boolean, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "pruned_before_ms": 0, "is_rolled_up": False}])


def downgrade() -> None:
    """Drop them: what is only in the sums is lost."""
    op.drop_table("ledger_state")
    op.drop_table("rollups")
