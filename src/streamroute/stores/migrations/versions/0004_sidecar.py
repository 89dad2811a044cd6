"""Which process has made an attempt: budgets count their own calls themselves, and read those of others."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody knows it of what is there already."""
    op.add_column("attempts", sa.Column("sidecar", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("attempts", "sidecar")
