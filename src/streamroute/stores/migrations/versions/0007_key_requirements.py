"""What requests with a key require that do not say so themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; keys that are there already require nothing."""
    op.add_column("keys", sa.Column("requirements", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("keys", "requirements")
