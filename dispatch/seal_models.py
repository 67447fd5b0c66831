"""Tables of the daily seal: one hash a day over every line written on it, and the lines it covers."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base


class SealRow(Base):
    """The seal of one day (the town's own date), chained to the seal before."""

    __tablename__ = "seal"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    lines: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(Text)
    sealed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SealEntry(Base):
    """The lines of one incident under a seal: `hashes` holds 32 bytes for each, from `first_seq` on."""

    __tablename__ = "seal_entry"

    # Not tied to the incident's row: a seal outlives what somebody takes away.
    incident_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(ForeignKey("seal.day"), index=True)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)
