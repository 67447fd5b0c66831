"""Tables of the catalogue's own history: what a category was when, and who changed which rule."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column


class CategoryPeriod(Base):
    """What a category is for a period: names, class, posts, urgency (`dispatch/catalogue_edits.py`: FIELDS).

    The row of table `category` is the period in force now; a period that begins later is taken over when it begins.
    """

    __tablename__ = "category_period"
    __table_args__ = (
        ExcludeConstraint(
            ("category_code", "="),
            ("valid", "&&"),
            name="ex_category_period_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[int] = identity_column()
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class CatalogueChange(Base):
    """Who changed what in the administration (rules, accounts, people, imports …), when, from which moment on, and to what."""

    __tablename__ = "catalogue_change"
    __table_args__ = (Index("ix_catalogue_change_subject_code", "subject", "code"),)

    id: Mapped[int] = identity_column()
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    from_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    change: Mapped[dict[str, Any]] = mapped_column(JSONB)
