"""Open incidents that a file of places or boundaries would put elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.place_changes import PlaceChange, changes, grids_of, seen_now
from grid.core.settings import TownSettings


@contextmanager
def placed_otherwise(
    session: Session, settings: TownSettings, now: datetime, *, asked: bool
) -> Iterator[list[PlaceChange]]:
    """The open incidents that would be placed otherwise by what is loaded within, when that is `asked`; told at the end."""
    found: list[PlaceChange] = []
    there = asked and session.scalar(text("select 1 from town")) is not None
    before = seen_now(session, settings, now) if there else {}
    yield found
    if before:
        found += changes(before, seen_now(session, settings, now), grids_of(session))
