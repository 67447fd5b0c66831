"""The bureau's rules have a version of their own: a changed limit no longer builds the whole gazetteer anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.execute("create sequence rules_version start 2")
    op.add_column(
        "town",
        sa.Column("rules_version", sa.BigInteger(), server_default="1", nullable=False),
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("town", "rules_version")
    op.execute("drop sequence rules_version")
