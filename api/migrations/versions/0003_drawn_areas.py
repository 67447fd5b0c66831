"""Areas drawn as the ground of grids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_geospatial_table(
        "grid_area",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("grid_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "area_plane",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=-1,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name=op.f("fk_grid_area_grid_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_area")),
    )
    op.create_index(op.f("ix_grid_area_grid_id"), "grid_area", ["grid_id"], unique=False)
    op.create_geospatial_index(
        "ix_grid_area_area_plane",
        "grid_area",
        ["area_plane"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )


def downgrade() -> None:
    """Back."""
    op.drop_geospatial_index(
        "ix_grid_area_area_plane",
        table_name="grid_area",
        postgresql_using="gist",
        column_name="area_plane",
    )
    op.drop_index(op.f("ix_grid_area_grid_id"), table_name="grid_area")
    op.drop_geospatial_table("grid_area")
