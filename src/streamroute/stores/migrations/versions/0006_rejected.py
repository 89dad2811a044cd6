"""Which whole answers were not good enough to be delivered: their price is no answer's."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody knows it of what is there already."""
    op.add_column("attempts", sa.Column("is_rejected", sa.Boolean))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("attempts", "is_rejected")
