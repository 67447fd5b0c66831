"""Areas given to grids by name, and the territory kept with the ground it belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def geometry(kind: str, srid: int) -> Geometry:
    """A geometry column without its own index."""
    return Geometry(
        geometry_type=kind,
        srid=srid,
        dimension=2,
        spatial_index=False,
        from_text="ST_GeomFromEWKT",
        name="geometry",
        nullable=False,
    )


def upgrade() -> None:
    """Forward."""
    op.add_column("grid_area", sa.Column("kind", sa.Text(), server_default="drawn", nullable=False))
    op.add_column("grid_area", sa.Column("name", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("ck_grid_area_kind"), "grid_area", "kind in ('drawn', 'given')")
    op.create_geospatial_table(
        "territory",
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("area_m2", sa.Float(), nullable=False),
        sa.Column("area", geometry("MULTIPOLYGON", 4326), nullable=False),
        sa.Column("area_plane", geometry("MULTIPOLYGON", -1), nullable=False),
        sa.ForeignKeyConstraint(
            ["grid_id"], ["grid.id"], name=op.f("fk_territory_grid_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grid_id", name=op.f("pk_territory")),
    )
    op.create_geospatial_index(
        "ix_territory_area",
        "territory",
        ["area"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_geospatial_table(
        "territory_segment",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("left_grid_id", sa.BigInteger(), nullable=False),
        sa.Column("right_grid_id", sa.BigInteger(), nullable=False),
        sa.Column("line_plane", geometry("LINESTRING", -1), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_territory_segment")),
    )
    op.create_geospatial_table(
        "kept_territory",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("ground_version", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holds", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("boundary_plane", geometry("GEOMETRY", -1), nullable=False),
        sa.Column("boundary_hash", sa.Text(), nullable=False),
        sa.Column("areas", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_kept_territory_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_territory")),
    )
    # For QGIS: the ground of each grid, with the version it belongs to and whether that is the present one.
    op.execute(
        "create view territory_layer as select g.id, g.code, g.name, g.name_en, t.area_m2, t.area,"
        " k.ground_version, k.ground_version = w.ground_version and k.holds @> now() as is_current"
        " from territory t join grid g on g.id = t.grid_id"
        " cross join kept_territory k cross join town w"
    )


def downgrade() -> None:
    """Back."""
    op.execute("drop view territory_layer")
    op.drop_geospatial_table("kept_territory")
    op.drop_geospatial_table("territory_segment")
    op.drop_geospatial_index(
        "ix_territory_area", table_name="territory", postgresql_using="gist", column_name="area"
    )
    op.drop_geospatial_table("territory")
    op.drop_constraint(op.f("ck_grid_area_kind"), "grid_area", type_="check")
    op.drop_column("grid_area", "name")
    op.drop_column("grid_area", "kind")
