"""Table of what machines repeated: reports of cameras and sensors that belong to an incident still open."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Float, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column


class Repeat(Base):
    """One more report of a machine about an incident that it, or somebody, had reported before."""

    __tablename__ = "repeat"
    __table_args__ = (UniqueConstraint("channel_code", "external_id"),)

    id: Mapped[int] = identity_column()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    channel_code: Mapped[str] = mapped_column(ForeignKey("channel.code"))
    external_id: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(Text, unique=True)
    description: Mapped[str] = mapped_column(Text)
    distance_m: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
