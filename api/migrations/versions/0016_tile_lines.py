"""Lines of web-map tiles, kept ready; triggers note which segments must be drawn anew, and when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Beyond so many rows of one statement, everything is drawn anew: quicker than one by one.
_MANY = 2000
_FUNCTIONS = {
    # A change counts at once, and again at each moment to come at which it takes or loses force.
    "tile_segment_changed": "select id, m from changed cross join lateral (values ('-infinity'), (gone_at)) v (m)",
    "tile_holding_changed": "select segment_id, m from changed cross join lateral"
    " (values ('-infinity'), (lower(valid)), (upper(valid))) v (m)",
    "tile_grid_changed": "select distinct h.segment_id, '-infinity'::timestamptz from changed c"
    " join public.grid_segment h on h.grid_id = c.id",
    "tile_street_changed": "select s.id, '-infinity'::timestamptz from changed c"
    " join public.segment s on s.street_id = c.id",
}
_TRIGGERS = {
    "segment": ("tile_segment_changed", ("insert", "update", "delete")),
    "grid_segment": ("tile_holding_changed", ("insert", "update", "delete")),
    "grid": ("tile_grid_changed", ("update",)),
    "street": ("tile_street_changed", ("update",)),
}


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "tile_line",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("street", sa.Text(), nullable=True),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("grid_left", sa.Text(), nullable=True),
        sa.Column("grid_right", sa.Text(), nullable=True),
        sa.Column("geom", Geometry("LINESTRING", srid=3857, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_tile_line")),
    )
    op.create_index("ix_tile_line_geom", "tile_line", ["geom"], postgresql_using="gist")
    op.create_table(
        "tile_change",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("box", Geometry("GEOMETRY", srid=3857, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tile_change")),
    )
    op.create_index("ix_tile_change_box", "tile_change", ["box"], postgresql_using="gist")
    op.create_table(
        "tile_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tile_pending")),
    )
    op.create_index(op.f("ix_tile_pending_effective_at"), "tile_pending", ["effective_at"])
    op.execute("insert into tile_pending (segment_id, effective_at) values (null, '-infinity')")
    for name, query in _FUNCTIONS.items():
        op.execute(
            f"create function {name}() returns trigger language plpgsql as $$ begin"  # noqa: S608 (fixed words)
            f" if (select count(*) from (select from changed limit {_MANY + 1}) c) > {_MANY} then"
            " insert into public.tile_pending (segment_id, effective_at)"
            f" select distinct null::bigint, m from ({query}) q (id, m)"
            " where m = '-infinity' or (m > now() and m < 'infinity'); else"
            " insert into public.tile_pending (segment_id, effective_at)"
            f" select distinct id, m from ({query}) q (id, m)"
            " where m = '-infinity' or (m > now() and m < 'infinity'); end if; return null; end $$"
        )
    op.execute(
        "create function tile_all_changed() returns trigger language plpgsql as $$ begin"
        " insert into public.tile_pending (segment_id, effective_at) values (null, '-infinity');"
        " return null; end $$"
    )
    for table, (function, events) in _TRIGGERS.items():
        for event in events:
            # An update counts for what was there before and for what is there after it.
            for which in {"insert": ("new",), "delete": ("old",), "update": ("old", "new")}[event]:
                op.execute(
                    f"create trigger tile_{event}_{which} after {event} on {table}"
                    f" referencing {which} table as changed"
                    f" for each statement execute function {function}()"
                )
        op.execute(
            f"create trigger tile_truncate after truncate on {table}"
            " for each statement execute function tile_all_changed()"
        )


def downgrade() -> None:
    """Back."""
    for table, (_, events) in _TRIGGERS.items():
        for event in (*events, "truncate"):
            names = {
                "insert": ("insert_new",),
                "delete": ("delete_old",),
                "truncate": ("truncate",),
            }
            for name in names.get(event, ("update_old", "update_new")):
                op.execute(f"drop trigger tile_{name} on {table}")
    for name in (*_FUNCTIONS, "tile_all_changed"):
        op.execute(f"drop function {name}()")
    for table in ("tile_pending", "tile_change", "tile_line"):
        op.drop_table(table)
