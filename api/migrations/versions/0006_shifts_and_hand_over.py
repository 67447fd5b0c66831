"""Shifts, units in levels, what becomes of open incidents at a change, and how a file draws a segment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HELD = ("grid_segment", "post_holding")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "shift",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weekdays", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("begins", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("substitute_id", sa.BigInteger(), nullable=True),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        sa.CheckConstraint(
            "cardinality(weekdays) > 0 and weekdays <@ '{1,2,3,4,5,6,7}'::smallint[]",
            name=op.f("ck_shift_weekdays"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_shift_staff_id")),
        sa.ForeignKeyConstraint(
            ["substitute_id"], ["staff.id"], name=op.f("fk_shift_substitute_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
    )
    op.create_index("ix_shift_staff_id", "shift", ["staff_id"], unique=False)
    op.add_column("unit", sa.Column("code", sa.Text(), nullable=True))
    op.create_unique_constraint(op.f("uq_unit_code"), "unit", ["code"])
    op.add_column("unit", sa.Column("parent_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_unit_parent_id"), "unit", "unit", ["parent_id"], ["id"])
    op.create_index(op.f("ix_unit_parent_id"), "unit", ["parent_id"], unique=False)
    op.add_column(
        "segment",
        sa.Column("turned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    for table in HELD:
        op.add_column(
            table, sa.Column("hand_over", sa.Text(), server_default="offered", nullable=False)
        )
        op.create_check_constraint(
            op.f(f"ck_{table}_hand_over"), table, "hand_over in ('offered', 'all', 'none')"
        )


def downgrade() -> None:
    """Back."""
    for table in HELD:
        op.drop_constraint(op.f(f"ck_{table}_hand_over"), table)
        op.drop_column(table, "hand_over")
    op.drop_column("segment", "turned")
    op.drop_index(op.f("ix_unit_parent_id"), table_name="unit")
    op.drop_constraint(op.f("fk_unit_parent_id"), "unit", type_="foreignkey")
    op.drop_column("unit", "parent_id")
    op.drop_constraint(op.f("uq_unit_code"), "unit", type_="unique")
    op.drop_column("unit", "code")
    op.drop_index("ix_shift_staff_id", table_name="shift")
    op.drop_table("shift")
