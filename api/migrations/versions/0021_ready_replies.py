"""Ready-made replies; the live events of one incident are found by its number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "ready_reply",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.BigInteger(), nullable=True),
        sa.Column("category_code", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("language in ('zh', 'en')", name=op.f("ck_ready_reply_language")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_ready_reply_unit_id")),
        sa.ForeignKeyConstraint(
            ["category_code"], ["category.code"], name=op.f("fk_ready_reply_category_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ready_reply")),
        sa.UniqueConstraint(
            "move",
            "unit_id",
            "category_code",
            "language",
            "words",
            name=op.f("uq_ready_reply_move_unit_id_category_code_language_words"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(op.f("ix_ready_reply_unit_id"), "ready_reply", ["unit_id"])
    op.create_index(op.f("ix_ready_reply_category_code"), "ready_reply", ["category_code"])
    op.create_index(op.f("ix_live_event_incident_id"), "live_event", ["incident_id"])


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_live_event_incident_id"), table_name="live_event")
    op.drop_table("ready_reply")
