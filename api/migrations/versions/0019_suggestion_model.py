"""Models of categories learned from closed incidents, with how they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FIGURES = ("cases", "categories", "held_back", "keywords_right", "learned_right", "together_right")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "suggestion_model",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trained_by", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in FIGURES),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("model", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestion_model")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("suggestion_model")
