"""Leaders in levels, standard unit cells, and the cell of an incident."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("staff", sa.Column("reports_to", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_staff_reports_to"), "staff", "staff", ["reports_to"], ["id"])
    op.create_index(op.f("ix_staff_reports_to"), "staff", ["reports_to"], unique=False)
    op.create_geospatial_table(
        "cell",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=True),
        sa.Column(
            "area",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cell")),
        sa.UniqueConstraint("code", name=op.f("uq_cell_code")),
    )
    op.create_geospatial_index(
        "ix_cell_area", "cell", ["area"], unique=False, postgresql_using="gist", postgresql_ops={}
    )
    op.add_column("incident", sa.Column("cell_code", sa.Text(), nullable=True))
    op.create_index(op.f("ix_incident_cell_code"), "incident", ["cell_code"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_incident_cell_code"), table_name="incident")
    op.drop_column("incident", "cell_code")
    op.drop_geospatial_index(
        "ix_cell_area", table_name="cell", postgresql_using="gist", column_name="area"
    )
    op.drop_geospatial_table("cell")
    op.drop_index(op.f("ix_staff_reports_to"), table_name="staff")
    op.drop_constraint(op.f("fk_staff_reports_to"), "staff", type_="foreignkey")
    op.drop_column("staff", "reports_to")
