"""Crews in the memory of a server: who answers for a grid, read once until people change or the hour does.

Between two bounds (of posts, leave, shifts' periods and leaving dates) and inside the same hours of the same
shift patterns everybody answers as before, so an answer is kept under both. Never stale: every use reads the
counters of `grid.change_counts` first, and what was kept under others is gone.
"""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.change_counts import Mark, Marks, read_marks
from grid.crews import Crew, crew_at
from grid.kept_ground import KeptGround, kept_ground
from grid.shifts import Pattern, patterns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MOST_KEPT = 100_000
Key = tuple[int, int | None, int, tuple[bool, ...]]

# Ranges that do not begin with their first moment and end before their last cannot be kept by bounds.
_BOUNDS = text("""
with period as (
    select valid from post_holding union all select valid from absence union all select valid from shift
), bound as (
    select lower(valid) as at from period union select upper(valid) from period
    union select left_at from staff
)
select (select coalesce(bool_and((lower_inc(valid) or lower_inf(valid)) and not upper_inc(valid)), true)
    from period) as usable,
    (select array_agg((extract(epoch from at) * 1000000)::bigint order by at) from bound
    where at is not null and isfinite(at)) as bounds
""")


@dataclass(slots=True)
class People:
    """What is kept under one mark: bounds (µs UTC), shift patterns, segments with posts of their own, crews."""

    mark: Mark
    bounds: list[int]
    patterns: list[tuple[Pattern, ZoneInfo]]
    own_segments: frozenset[int]
    crews: dict[Key, Crew] = field(default_factory=dict)

    def key(self, grid_id: int, segment_id: int | None, at: datetime) -> Key:
        """Under which a crew at a moment is kept."""
        own = segment_id if segment_id in self.own_segments else None
        between = bisect_right(self.bounds, (at - EPOCH) // MICROSECOND)
        return grid_id, own, between, tuple(covers(p, at.astimezone(z)) for p, z in self.patterns)


_KEPT: weakref.WeakKeyDictionary[KeptGround, People] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def covers(pattern: Pattern, local: datetime) -> bool:
    """Whether a moment by the pattern's clock lies inside its hours; as `Pattern.covers` for many."""
    weekday, clock = local.isoweekday(), local.time()
    today = weekday in pattern.weekdays
    if pattern.begins < pattern.ends:
        return today and pattern.begins <= clock < pattern.ends
    yesterday = (weekday + 5) % 7 + 1 in pattern.weekdays
    return (today and clock >= pattern.begins) or (yesterday and clock < pattern.ends)


def crew_in_memory(
    kept: KeptGround, marks: Marks, grid_id: int, segment_id: int | None, at: datetime
) -> Crew | None:
    """The crew kept under these marks, if there is one."""
    people = _KEPT.get(kept)
    if people is None or people.mark != marks.people:
        return None
    return people.crews.get(people.key(grid_id, segment_id, at))


def crew_kept(session: Session, grid_id: int, segment_id: int | None, at: datetime) -> Crew:
    """`crew_at`, from memory where this process keeps its ground there and nothing has changed."""
    kept = kept_ground(session)
    if kept is None:
        return crew_at(session, grid_id, segment_id, at)
    marks = read_marks(session)
    people = marks and _people(session, kept, marks.people)
    if not people:
        return crew_at(session, grid_id, segment_id, at)
    key = people.key(grid_id, segment_id, at)
    crew = people.crews.get(key)
    if crew is None:
        crew = crew_at(session, grid_id, segment_id, at)
        if len(people.crews) >= MOST_KEPT:
            people.crews.clear()
        people.crews[key] = crew
    return crew


def _people(session: Session, kept: KeptGround, mark: Mark) -> People | None:
    """What is kept under a mark, read when it is a new one; None when nothing can be kept."""
    people = _KEPT.get(kept)
    if people is None or people.mark != mark:
        bounds = session.execute(_BOUNDS).one()
        if not bounds.usable:
            return None
        own = session.scalars(
            text("select distinct segment_id from post_holding where segment_id is not null")
        )
        people = People(
            mark,
            list(bounds.bounds or []),
            [(pattern, ZoneInfo(pattern.time_zone)) for pattern in patterns(session)],
            frozenset(own),
        )
        with _LOCK:
            _KEPT[kept] = people
    return people
