"""Tables of the clocks' watch: stage limits, chasing rules, what each open incident waits for, what was told.

`dispatch/chasing.py` reads the plan and writes what was told; `dispatch/incidents.py` writes the plan of an incident
with every change of its clocks.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from grid.core.database import Base
from grid.models import identity_column

UNITS = "('minutes', 'hours', 'working_hours', 'working_days', 'natural_days')"


class StageLimit(Base):
    """The limit of a stage (accept, verify, dispatch, task, check, close) for an urgency or for all, for a period."""

    __tablename__ = "stage_limit"
    __table_args__ = (
        CheckConstraint(f"unit in {UNITS}", name="unit"),
        CheckConstraint("value > 0", name="value"),
        ExcludeConstraint(
            ("stage", "="),
            (text("coalesce(urgency, '')"), "="),
            (text("coalesce(area_class, '')"), "="),
            ("valid", "&&"),
            name="ex_stage_limit_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[int] = identity_column()
    stage: Mapped[str] = mapped_column(Text)
    urgency: Mapped[str | None] = mapped_column(Text)
    area_class: Mapped[str | None] = mapped_column(Text)
    value: Mapped[float] = mapped_column(Float)
    unit: Mapped[str] = mapped_column(Text)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class ChaseRule(Base):
    """Whom to tell when a clock has used up a share of its limit, or so long after it; for a period.

    A rule for one urgency takes the place of the rule of the same code for all.
    """

    __tablename__ = "chase_rule"
    __table_args__ = (
        CheckConstraint(
            "tell in ('assignee', 'unit_head', 'leader', 'leader_above', 'operator',"
            " 'watch_chief', 'dispatcher')",
            name="tell",
        ),
        CheckConstraint("share > 0 and share <= 1", name="share"),
        CheckConstraint(f"after_unit in {UNITS}", name="after_unit"),
        CheckConstraint("(after_value is null) = (after_unit is null)", name="after_whole"),
        CheckConstraint("after_value is null or share = 1", name="after_the_limit"),
        ExcludeConstraint(
            ("code", "="),
            (text("coalesce(urgency, '')"), "="),
            ("valid", "&&"),
            name="ex_chase_rule_one_at_a_time",
            using="gist",
        ),
    )

    id: Mapped[int] = identity_column()
    code: Mapped[str] = mapped_column(Text)
    clock: Mapped[str] = mapped_column(Text)
    urgency: Mapped[str | None] = mapped_column(Text)
    share: Mapped[float] = mapped_column(Float)
    after_value: Mapped[float | None] = mapped_column(Float)
    after_unit: Mapped[str | None] = mapped_column(Text)
    tell: Mapped[str] = mapped_column(Text)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class ChasePlan(Base):
    """What an open incident waits for: when somebody must be told by which rule, and when it must move by itself.

    `at` is the first of `ats` still to come; `wake_at` the date of resuming, or the end of the time to accept a task.
    """

    __tablename__ = "chase_plan"
    __table_args__ = (
        Index("ix_chase_plan_at", "at", postgresql_where=text("at is not null")),
        Index("ix_chase_plan_wake_at", "wake_at", postgresql_where=text("wake_at is not null")),
    )

    incident_id: Mapped[int] = mapped_column(
        ForeignKey("incident.id"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    wake_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rule_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    ats: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))


class Chase(Base):
    """Somebody was told by a rule: once for each incident, rule and occasion (the moment that was due)."""

    __tablename__ = "chase"

    incident_id: Mapped[int] = mapped_column(
        ForeignKey("incident.id"), primary_key=True, autoincrement=False
    )
    rule_id: Mapped[int] = mapped_column(
        ForeignKey("chase_rule.id"), primary_key=True, autoincrement=False
    )
    occasion_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
