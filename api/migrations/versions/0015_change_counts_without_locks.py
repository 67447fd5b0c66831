"""Each transaction counts its changes in a row of its own, so that no writer waits for another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    for name in ("writer", "tag"):
        op.add_column(
            "change_count", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        )
    op.drop_constraint("pk_change_count", "change_count", type_="primary")
    op.create_primary_key("pk_change_count", "change_count", ["part", "writer"])
    op.execute(
        "create or replace function count_change() returns trigger language plpgsql as $$"
        " declare me bigint := pg_current_xact_id()::text::bigint;"
        " fresh bigint := ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;"
        " begin"
        " update public.change_count set number = number + 1, tag = fresh"
        " where part = tg_argv[0] and writer = me;"
        " if not found then insert into public.change_count (part, writer, number, tag)"
        " values (tg_argv[0], me, 1, fresh); end if;"
        " return null; end $$"
    )


def downgrade() -> None:
    """Back."""
    op.execute(
        "create or replace function count_change() returns trigger language plpgsql as $$ begin"
        " update public.change_count set number = number + 1 where part = tg_argv[0];"
        " return null; end $$"
    )
    op.execute(
        "create temp table counted on commit drop as"
        " select part, sum(number)::bigint as number from change_count group by part"
    )
    op.execute("delete from change_count")
    op.drop_constraint("pk_change_count", "change_count", type_="primary")
    op.create_primary_key("pk_change_count", "change_count", ["part"])
    for name in ("writer", "tag"):
        op.drop_column("change_count", name)
    op.execute("insert into change_count (part, number) select part, number from counted")
