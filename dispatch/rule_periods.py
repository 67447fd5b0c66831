"""Rules with periods: another value from a moment on, or none; what held before keeps its row and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from psycopg.types.range import TimestamptzRange
from sqlalchemy.orm import Session

from dispatch.catalogue_models import CategoryPeriod
from dispatch.chase_models import ChaseRule, StageLimit
from dispatch.models import FilingCondition

Periodic = CategoryPeriod | FilingCondition | StageLimit | ChaseRule
Row = TypeVar("Row", CategoryPeriod, FilingCondition, StageLimit, ChaseRule)


def holding(rows: Sequence[Row], at: datetime) -> Row | None:
    """The row in force at a moment."""
    return next((row for row in rows if _holds(row, at)), None)


def to_come(rows: Sequence[Row], at: datetime) -> list[Row]:
    """The rows that begin after a moment, the next first."""
    later = [row for row in rows if row.valid.lower is not None and row.valid.lower > at]
    return sorted(later, key=lambda row: row.valid.lower or at)


def set_from(
    session: Session,
    rows: Sequence[Row],
    values: Mapping[str, Any],
    from_at: datetime,
    made: Callable[[], Row],
) -> Row:
    """Lets `values` hold from a moment to the next planned change; `made` gives a row for a new period."""
    current, later = holding(rows, from_at), to_come(rows, from_at)
    until = later[0].valid.lower if later else None
    if current is not None and current.valid.lower == from_at:
        row = current
    else:
        if current is not None:
            until = current.valid.upper
            current.valid = TimestamptzRange(current.valid.lower, from_at)  # type: ignore[assignment]
            session.flush()
        row = made()
        row.valid = TimestamptzRange(from_at, until)  # type: ignore[assignment]
        session.add(row)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    return row


def end_from(
    session: Session, rows: Sequence[Row], from_at: datetime, drop: Callable[[Row], None]
) -> None:
    """Lets nothing hold from a moment on; what was planned for later is dropped."""
    current = holding(rows, from_at)
    for row in to_come(rows, from_at):
        drop(row)
    if current is not None and current.valid.lower == from_at:
        drop(current)
    elif current is not None:
        current.valid = TimestamptzRange(current.valid.lower, from_at)  # type: ignore[assignment]
    session.flush()


def _holds(row: Periodic, at: datetime) -> bool:
    valid = row.valid
    if valid.isempty:
        return False
    begun = valid.lower is None or valid.lower <= at
    return begun and (valid.upper is None or at < valid.upper)
