"""The tables of attempts and of requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "attempts",
        sa.Column("ledger_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("rung", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("upstream", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("tier", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("team", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("is_counted", sa.Boolean, nullable=False),
        sa.Column("cost", sa.BigInteger),
        sa.Column("price_source", sa.Text),
        sa.Column("ttft_s", sa.Float),
        sa.Column("duration_s", sa.Float, nullable=False),
    )
    op.create_index("attempts_by_end", "attempts", ["ended_at_ms"])
    op.create_table(
        "requests",
        sa.Column("ledger_id", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("upstream", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("team", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("ttft_s", sa.Float),
        sa.Column("duration_s", sa.Float, nullable=False),
    )
    op.create_index("requests_by_end", "requests", ["ended_at_ms"])


def downgrade() -> None:
    """Drop them, and what was kept in them."""
    op.drop_table("requests")
    op.drop_table("attempts")
