"""Places learned from people, aliases, default points, and what geocoders outside said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _point() -> Geometry:
    return Geometry(
        geometry_type="POINT",
        srid=4326,
        dimension=2,
        spatial_index=False,
        from_text="ST_GeomFromEWKT",
        name="geometry",
        nullable=False,
    )


def _moment(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _id() -> sa.Column[sa.BigInteger]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "town", sa.Column("learned_version", sa.BigInteger(), server_default="1", nullable=False)
    )
    op.create_geospatial_table(
        "learned_place",
        _id(),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("words_key", sa.Text(), nullable=False),
        sa.Column("street_name", sa.Text()),
        sa.Column("house_number", sa.Text()),
        sa.Column("point", _point(), nullable=False),
        sa.Column("incident_number", sa.Text()),
        _moment("learned_at"),
        sa.Column("learned_by", sa.Text(), nullable=False),
        _moment("undone_at", nullable=True),
        sa.Column("undone_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learned_place")),
    )
    op.create_index("ix_learned_place_words_key", "learned_place", ["words_key"])
    op.create_index(op.f("ix_learned_place_incident_number"), "learned_place", ["incident_number"])
    op.create_table(
        "alias",
        _id(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.CheckConstraint("kind in ('street', 'place')", name=op.f("ck_alias_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        sa.UniqueConstraint("kind", "name", "alias", name=op.f("uq_alias_kind_name_alias")),
    )
    op.create_geospatial_table(
        "default_point",
        _id(),
        sa.Column("point", _point(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        _moment("found_at"),
        _moment("undone_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_default_point")),
    )
    op.create_table(
        "outside_answer",
        _id(),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        _moment("asked_at"),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_answer")),
        sa.UniqueConstraint("source", "words", name=op.f("uq_outside_answer_source_words")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("outside_answer")
    op.drop_geospatial_table("default_point")
    op.drop_table("alias")
    op.drop_index(op.f("ix_learned_place_incident_number"), table_name="learned_place")
    op.drop_index("ix_learned_place_words_key", table_name="learned_place")
    op.drop_geospatial_table("learned_place")
    op.drop_column("town", "learned_version")
