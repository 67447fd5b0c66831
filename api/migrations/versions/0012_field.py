"""Shifts as they were worked, positions on them, patrol coverage, and what phones sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "attendance",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_point", _point(), nullable=True),
        sa.Column("began_m", sa.Float(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_point", _point(), nullable=True),
        sa.Column("ended_by_clock", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "ended_at is null or ended_at >= began_at", name=op.f("ck_attendance_in_order")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_attendance_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance")),
    )
    op.create_index(
        "uq_attendance_one_open",
        "attendance",
        ["staff_id"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "ix_attendance_staff_id_began_at", "attendance", ["staff_id", "began_at"], unique=False
    )
    op.create_table(
        "position",
        sa.Column("attendance_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accuracy_m", sa.Float(), nullable=True),
        sa.Column("point", _point(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attendance_id"],
            ["attendance.id"],
            name=op.f("fk_position_attendance_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("attendance_id", "at", name=op.f("pk_position")),
    )
    op.create_table(
        "patrol_cover",
        sa.Column("attendance_id", sa.BigInteger(), nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.CheckConstraint("share between 0 and 1", name=op.f("ck_patrol_cover_share")),
        sa.ForeignKeyConstraint(
            ["attendance_id"],
            ["attendance.id"],
            name=op.f("fk_patrol_cover_attendance_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["segment.id"],
            name=op.f("fk_patrol_cover_segment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("attendance_id", "segment_id", name=op.f("pk_patrol_cover")),
    )
    op.create_index(
        op.f("ix_patrol_cover_segment_id"), "patrol_cover", ["segment_id"], unique=False
    )
    op.create_table(
        "sent_once",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sender", "client_id", name=op.f("pk_sent_once")),
    )
    op.create_index(op.f("ix_sent_once_at"), "sent_once", ["at"], unique=False)


def downgrade() -> None:
    """Back."""
    for table in ("sent_once", "patrol_cover", "position", "attendance"):
        op.drop_table(table)


def _point() -> Geometry:
    return Geometry("POINT", srid=4326, spatial_index=False)
