"""What a list of incidents asks for, and the conditions in SQL that say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from dispatch.scope import BY_ITSELF, Scope
from grid.core.values import dataclass

INCIDENT_NUMBER = re.compile(r"\d{8}-\d{6,}")


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list asks for; `scope` bounds what its reader may see, None is everything."""

    statuses: tuple[str, ...] = ()
    queue: str | None = None
    grid: str | None = None
    # The grids of that code where they have been looked up: an index gives those of one grid in order.
    grid_ids: tuple[int, ...] | None = None
    category: str | None = None
    channel: str | None = None
    post: str | None = None
    assignee_id: int | None = None
    bbox: tuple[float, float, float, float] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    words: str | None = None
    flag: str | None = None
    open_only: bool = False
    overdue_at: datetime | None = None
    scope: Scope | None = None


@dataclass(slots=True)
class Where:
    """Conditions joined by `and`, with their values."""

    clauses: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, clause: str, **values: Any) -> None:
        self.clauses.append(clause)
        self.values.update(values)

    def sql(self) -> str:
        return " where " + " and ".join(self.clauses) if self.clauses else ""


def where_of(asked: IncidentFilter, *, indexed: bool = True) -> Where:
    """The conditions of a filter on `incident i`; not `indexed`: of rows that are walked through, one by one."""
    where = Where()
    if asked.words and INCIDENT_NUMBER.fullmatch(asked.words.strip()):
        # A number finds exactly that incident, whatever the other filters say.
        where.add("i.number = :number", number=asked.words.strip())
        return _bounded(where, asked)
    _bounded(where, asked, indexed=indexed)
    if asked.statuses:
        _add_one_of(where, "i.status", "status", asked.statuses)
    if asked.open_only:
        # The same as a status of OPEN_STATUSES (`dispatch/in_hand.py` writes both), and what the indexes know.
        where.add("i.ended_at is null")
    if asked.queue:
        where.add("i.queue = :queue", queue=asked.queue)
    if asked.grid_ids is not None:
        _add_one_of(where, "i.grid_id", "grid_id", asked.grid_ids)
    elif asked.grid:
        where.add("i.grid_id in (select id from grid where code = :grid)", grid=asked.grid)
    if asked.category:
        where.add("i.category_code = :category", category=asked.category)
    if asked.channel:
        where.add("i.channel_code = :channel", channel=asked.channel)
    if asked.flag:
        where.add("i.flags @> array[cast(:flag as text)] and i.flags <> '{}'", flag=asked.flag)
    if asked.post:
        where.add(
            "exists (select 1 from task k where k.incident_id = i.id and k.post = :post"  # noqa: S608 (our own text)
            f"{'' if indexed else BY_ITSELF})",
            post=asked.post,
        )
    if asked.assignee_id is not None:
        where.add(
            "exists (select 1 from task k where k.incident_id = i.id and k.assignee_id = :assignee)",
            assignee=asked.assignee_id,
        )
    if asked.bbox:
        west, south, east, north = asked.bbox
        where.add(
            "i.point && st_makeenvelope(:west, :south, :east, :north, 4326)",
            west=west,
            south=south,
            east=east,
            north=north,
        )
    if asked.from_at:
        where.add("i.reported_at >= :from_at", from_at=asked.from_at)
    if asked.to_at:
        where.add("i.reported_at < :to_at", to_at=asked.to_at)
    if asked.overdue_at:
        where.add(
            "i.due_at < :overdue_at and i.disposed_at is null and i.ended_at is null",
            overdue_at=asked.overdue_at,
        )
    _add_words(where, words_of(asked), indexed=indexed)
    return where


def words_of(asked: IncidentFilter) -> str:
    """The words that a filter looks for, empty where it has none or names an incident's number."""
    words = (asked.words or "").strip()
    return "" if INCIDENT_NUMBER.fullmatch(words) else words


def _add_one_of(where: Where, column: str, name: str, given: Sequence[Any]) -> None:
    """One value is asked as such: PostgreSQL reads an index in its order then, of several it does not."""
    if len(given) == 1:
        where.add(f"{column} = :{name}", **{name: given[0]})
    else:
        where.add(f"{column} = any(:{name}s)", **{f"{name}s": list(given)})


def _add_words(where: Where, words: str, *, indexed: bool) -> None:
    if not words:
        return
    if indexed:
        # Asked as a question of its own, because what the planner makes of the single grams is far too few.
        where.add("i.words @@ (select search_query(:words))", words=words)
    # The index knows pairs of characters; that they stand in this order, the text itself says. Where no
    # character has a capital, comparing as it stands finds the same and costs a tenth.
    like = "like" if words.lower() == words.upper() else "ilike"
    where.add(
        f"(i.description {like} :like or i.address {like} :like)", like=f"%{_plain_like(words)}%"
    )


def _bounded(where: Where, asked: IncidentFilter, *, indexed: bool = True) -> Where:
    """Only incidents within the reader's scope."""
    if asked.scope is not None:
        where.add(asked.scope.clause if indexed else asked.scope.asked_each, **asked.scope.values)
    return where


def _plain_like(words: str) -> str:
    return words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
