"""A transaction counts once for each part: many statements in one of them cost no more than the first."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_HEAD = (
    "create or replace function count_change() returns trigger language plpgsql as $$"
    " declare me bigint := pg_current_xact_id()::text::bigint;"
)
_TAG = "('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint"


def upgrade() -> None:
    """Forward."""
    op.execute(
        f"{_HEAD} begin"  # noqa: S608 (fixed words)
        " if not exists (select 1 from public.change_count where part = tg_argv[0] and writer = me)"
        " then insert into public.change_count (part, writer, number, tag)"
        f" values (tg_argv[0], me, 1, {_TAG}); end if;"
        " return null; end $$"
    )


def downgrade() -> None:
    """Back."""
    op.execute(
        f"{_HEAD} fresh bigint := {_TAG}; begin"  # noqa: S608 (fixed words)
        " update public.change_count set number = number + 1, tag = fresh"
        " where part = tg_argv[0] and writer = me;"
        " if not found then insert into public.change_count (part, writer, number, tag)"
        " values (tg_argv[0], me, 1, fresh); end if;"
        " return null; end $$"
    )
