"""The console's first rows, made with the page itself: the list can be read before any script has come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy.orm import Session

from api.i18n import Language, translate
from api.schemas import lamp_of
from dispatch import reading
from dispatch.overview import BADLY
from dispatch.reading import OPEN_STATUSES, IncidentFilter
from dispatch.scope import Scope
from maps.styles import STATUS_SHAPES

# As many as a high screen shows; the script asks for more.
FIRST_ROWS = 20
GIVEN_UP = ("withdrawn", "returned", "lapsed")
DEFAULT_SORT = "-reported_at"
# As the browsers' own British dates abbreviate them (js/times.js).
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list as `js/console/list.js` shows it."""

    number: str
    lamp: str
    shape: str
    category: str
    left: str
    worst: bool
    description: str
    where: str
    chip: str
    waits: bool
    reported_at: str
    reported: str


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The rows and how many there are in all."""

    rows: list[Row]
    total: int
    least: bool


NONE = FirstRows([], 0, False)


def first_rows(
    session: Session,
    address: Mapping[str, str],
    scope: Scope | None,
    language: Language,
    now: datetime,
    zone: tzinfo,
) -> FirstRows:
    """The first rows of the list that a console's `address` asks for; none when it searches words, which may take long."""
    sort = address.get("sort") or DEFAULT_SORT
    if address.get("q") or sort not in reading.SORTS:
        return NONE
    status, queue = address.get("status", "open"), address.get("queue") or None
    overdue = queue == "overdue"
    asked = IncidentFilter(
        statuses=() if status in ("", "open") else (status,),
        open_only=status == "open",
        queue=None if overdue else queue,
        overdue_at=now if overdue else None,
        category=address.get("category") or None,
        grid=address.get("grid") or None,
        scope=scope,
    )
    found = reading.list_incidents(session, asked, sort, 1, FIRST_ROWS)
    return FirstRows(
        [shown(row, language, now, zone) for row in found.items], found.total, found.total_is_least
    )


def shown(row: Mapping[str, Any], language: Language, now: datetime, zone: tzinfo) -> Row:
    """A row of `dispatch.reading` in the reader's words."""
    running = row["status"] in OPEN_STATUSES and not row["disposed_at"] and row["due_at"]
    minutes = _rounded((row["due_at"] - now).total_seconds() / 60) if running else 0
    lamp = lamp_of(dict(row), now) or "waiting" if row["status"] in OPEN_STATUSES else "ended"
    names = [t["assignee_name"] for t in row["tasks"] if t["status"] not in GIVEN_UP]
    people = "、".join(dict.fromkeys(name for name in names if name))
    where = (row["street"] or row["address"], row["grid_name"] or row["grid_code"], people)
    waits = bool(row["queue"])
    return Row(
        number=row["number"],
        lamp=lamp,
        shape=STATUS_SHAPES.get(row["status"], "circle"),
        category=row[f"category_{language}"] or translate(language, "incident.no_category"),
        left=left(minutes, language) if running else "",
        worst=lamp == "red"
        and row["due_at"] is not None
        and (row["disposed_at"] or now) - row["due_at"] > BADLY,
        description=row["description"] or "",
        where=" · ".join(part for part in where if part),
        chip=translate(language, f"queue.{row['queue']}" if waits else f"status.{row['status']}"),
        waits=waits,
        reported_at=row["reported_at"].isoformat(),
        reported=moment(row["reported_at"].astimezone(zone), now.astimezone(zone), language),
    )


def left(minutes: int, language: Language) -> str:
    """What is left of a limit, or by how much it is over (js/times.js: left)."""
    size = abs(minutes)
    if size < 60:
        span = translate(language, "time.minutes", n=size)
    elif size < 48 * 60:
        span = translate(language, "time.hours", n=size // 60, m=size % 60)
    else:
        span = translate(language, "time.days", n=size // 1440, h=size % 1440 // 60)
    return translate(language, "time.left" if minutes >= 0 else "time.over", span=span)


def moment(at: datetime, now: datetime, language: Language) -> str:
    """A time for people: the day when it is not today (js/times.js: moment)."""
    hour = f"{at:%H:%M}"
    if at.date() == now.date():
        return hour
    if language == "zh":
        day, year = f"{at.month}月{at.day}日", f"{at.year}年"
        return f"{'' if at.year == now.year else year}{day} {hour}"
    day = f"{at.day} {MONTHS[at.month - 1]}"
    return f"{day}{'' if at.year == now.year else f' {at.year}'} {hour}"


def _rounded(minutes: float) -> int:
    return math.floor(minutes + 0.5)
