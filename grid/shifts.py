"""Shifts: who is at work at a moment, in SQL for one crew and in numpy for many moments.

A pattern is hours of some weekdays by the clock of a time zone; one that ends no later than it begins goes on
into the next day. A person without a pattern in force is always at work; several patterns add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

Ints = NDArray[np.int64]

# `h` is a row of `shift`, `l.at` the moment by that row's clock; the weekday is the one the shift began on.
_COVERS = """
    case when h.begins < h.ends then extract(isodow from l.at)::int = any(h.weekdays)
        and l.at::time >= h.begins and l.at::time < h.ends
    else (extract(isodow from l.at)::int = any(h.weekdays) and l.at::time >= h.begins)
        or ((extract(isodow from l.at)::int + 5) % 7 + 1 = any(h.weekdays) and l.at::time < h.ends)
    end
"""


def off_shift(person: str, moment: str) -> str:
    """SQL that is true for a person (an id) with shifts in force of which none covers the moment."""
    return f"""coalesce((
        select not bool_or({_COVERS}) from shift h
        cross join lateral (select {moment} at time zone h.time_zone as at) l
        where h.staff_id = {person} and h.valid @> {moment}), false)"""  # noqa: S608 (our own names)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Hours of some weekdays (Monday is 1) by the clock of a time zone."""

    weekdays: tuple[int, ...]
    begins: time
    ends: time
    time_zone: str

    def covers(self, at: pd.DatetimeIndex) -> NDArray[np.bool_]:
        """Which moments (aware) lie inside."""
        local = at.tz_convert(self.time_zone)
        weekday = np.asarray(local.dayofweek, dtype=np.int64) + 1
        clock_us = _clock_us(local.hour, local.minute, local.second, local.microsecond)
        begins_us, ends_us = _time_us(self.begins), _time_us(self.ends)
        today = np.isin(weekday, self.weekdays)
        if begins_us < ends_us:
            return np.asarray(today & (clock_us >= begins_us) & (clock_us < ends_us))
        yesterday = np.isin((weekday + 5) % 7 + 1, self.weekdays)
        return np.asarray((today & (clock_us >= begins_us)) | (yesterday & (clock_us < ends_us)))


def patterns(session: Session) -> list[Pattern]:
    """Every different pattern of the town, past and planned ones too."""
    rows = session.execute(
        text("select distinct weekdays, begins, ends, time_zone from shift order by 4, 2, 3, 1")
    )
    return [Pattern(tuple(r.weekdays), r.begins, r.ends, r.time_zone) for r in rows]


def hours_alike(found: Sequence[Pattern], at_us: Ints) -> tuple[list[bytes], Ints]:
    """Moments (µs UTC) that lie inside the same patterns: a key of each such group, the group of each moment.

    Between two changes of posts, leave and periods, who answers is the same at all moments of one group.
    """
    if not found or not len(at_us):
        return [b""], np.zeros(len(at_us), dtype=np.int64)
    at = pd.DatetimeIndex(at_us.astype("datetime64[us]")).tz_localize("UTC")
    inside = np.column_stack([pattern.covers(at) for pattern in found])
    keys, group = np.unique(np.packbits(inside, axis=1), axis=0, return_inverse=True)
    return [key.tobytes() for key in keys], np.asarray(group, dtype=np.int64).reshape(-1)


def _time_us(clock: time) -> int:
    return int(_clock_us(clock.hour, clock.minute, clock.second, clock.microsecond))


def _clock_us(hour: object, minute: object, second: object, microsecond: object) -> Ints:
    hours, minutes, seconds, rest = (
        np.asarray(part, dtype=np.int64) for part in (hour, minute, second, microsecond)
    )
    return np.asarray(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + rest, dtype=np.int64)
