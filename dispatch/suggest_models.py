"""The table of learned models of categories: how each did, and the newest ones themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, DateTime, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column


class SuggestionModel(Base):
    """A model as it was trained: on how many closed incidents, how it did on the newest, and whether it is used.

    The newest row decides: where it is not in use, keywords alone suggest.
    """

    __tablename__ = "suggestion_model"

    id: Mapped[int] = identity_column()
    trained_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    trained_by: Mapped[str] = mapped_column(Text)
    cases: Mapped[int] = mapped_column(Integer)
    categories: Mapped[int] = mapped_column(Integer)
    # Of the cases held back, how many each way named right at first.
    held_back: Mapped[int] = mapped_column(Integer)
    keywords_right: Mapped[int] = mapped_column(Integer)
    learned_right: Mapped[int] = mapped_column(Integer)
    together_right: Mapped[int] = mapped_column(Integer)
    in_use: Mapped[bool] = mapped_column(Boolean)
    # numpy's npz without pickled objects (dispatch/suggest_learned.py); older models keep their figures only.
    model: Mapped[bytes | None] = mapped_column(LargeBinary)
