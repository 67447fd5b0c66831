"""Table of ready-made replies (常用语): short texts for the notes of moves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column


class ReadyReply(Base):
    """A text offered where a move asks for a note; for every bureau or one, every category or one."""

    __tablename__ = "ready_reply"
    __table_args__ = (
        UniqueConstraint(
            "move",
            "unit_id",
            "category_code",
            "language",
            "words",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("language in ('zh', 'en')", name="language"),
    )

    id: Mapped[int] = identity_column()
    move: Mapped[str] = mapped_column(Text)
    unit_id: Mapped[int | None] = mapped_column(ForeignKey("unit.id"), index=True)
    category_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"), index=True)
    language: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    changed_by: Mapped[str] = mapped_column(Text)
