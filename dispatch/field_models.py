"""Tables of the people in the street: their shifts, where they were on them, what they walked past, what their phones sent.

Positions are personal data: they exist only within a shift, or with a step of the work, and are forgotten after a set
time (`dispatch/attendance.py`); which segments a shift covered stays.
"""

from __future__ import annotations

from datetime import datetime

from geoalchemy2 import WKBElement
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import geometry_column_type, identity_column


class Attendance(Base):
    """One shift as it was really worked: signed in and out, when and where (考勤).

    `began_m` is how far from the nearest segment of one's own grids the sign-in was; null without a position or
    without a grid. `at` moments are the phone's, `received_at` is ours.
    """

    __tablename__ = "attendance"
    __table_args__ = (
        CheckConstraint("ended_at is null or ended_at >= began_at", name="in_order"),
        Index(
            "uq_attendance_one_open",
            "staff_id",
            unique=True,
            postgresql_where=sql("ended_at is null"),
        ),
        Index("ix_attendance_staff_id_began_at", "staff_id", "began_at"),
    )

    id: Mapped[int] = identity_column()
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    began_point: Mapped[WKBElement | None] = mapped_column(geometry_column_type("POINT"))
    began_m: Mapped[float | None] = mapped_column(Float)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_point: Mapped[WKBElement | None] = mapped_column(geometry_column_type("POINT"))
    # Nobody signed out: the clock ended it.
    ended_by_clock: Mapped[bool] = mapped_column(Boolean, server_default=sql("false"))


class Position(Base):
    """Where a person was at a moment of a shift."""

    __tablename__ = "position"

    attendance_id: Mapped[int] = mapped_column(
        ForeignKey("attendance.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    accuracy_m: Mapped[float | None] = mapped_column(Float)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))


class PatrolCover(Base):
    """How much of a segment a shift's track came near: the share of its length."""

    __tablename__ = "patrol_cover"
    __table_args__ = (CheckConstraint("share between 0 and 1", name="share"),)

    attendance_id: Mapped[int] = mapped_column(
        ForeignKey("attendance.id", ondelete="CASCADE"), primary_key=True
    )
    segment_id: Mapped[int] = mapped_column(
        ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    share: Mapped[float] = mapped_column(Float)


class StepPlace(Base):
    """Where a step of an incident's record was made; forgotten like positions, its distance stays in the line."""

    __tablename__ = "step_place"

    incident_id: Mapped[int] = mapped_column(
        ForeignKey("incident.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    point: Mapped[WKBElement] = mapped_column(geometry_column_type("POINT"))


class SentOnce(Base):
    """What a phone has sent, by its own id: the same again is answered without being done again."""

    __tablename__ = "sent_once"

    sender: Mapped[str] = mapped_column(Text, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    incident_id: Mapped[int | None] = mapped_column(BigInteger)
