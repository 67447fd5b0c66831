"""Counters that say whether streets, grids or people changed, raised by triggers whoever makes the change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PARTS = {
    "streets": ("segment", "street"),
    "grids": ("grid", "grid_segment", "grid_area"),
    "people": ("staff", "unit", "post_holding", "absence", "shift"),
}


def upgrade() -> None:
    """Forward."""
    made = op.create_table(
        "change_count",
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_change_count")),
    )
    op.bulk_insert(made, [{"part": part} for part in PARTS])
    op.execute(
        "create function count_change() returns trigger language plpgsql as $$ begin"
        " update public.change_count set number = number + 1 where part = tg_argv[0];"
        " return null; end $$"
    )
    for part, tables in PARTS.items():
        for table in tables:
            op.execute(
                f"create trigger count_change after insert or update or delete or truncate on {table}"
                f" for each statement execute function count_change('{part}')"
            )


def downgrade() -> None:
    """Back."""
    for tables in PARTS.values():
        for table in tables:
            op.execute(f"drop trigger count_change on {table}")
    op.execute("drop function count_change()")
    op.drop_table("change_count")
