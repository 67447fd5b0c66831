"""Which incidents somebody may see: all of them, or those of their own tasks, grids, unit or line of reporting.

A crew member sees the tasks given to them and those of their own post in the grids where they hold it. The head of a unit
sees the tasks of the unit's people. A leader sees the grids led by them or by anybody who reports to them, near
or far, and the tasks of all these people. It is read anew for every request: a post handed over is seen at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.values import dataclass

Reach = Literal["all", "person", "unit", "line"]
# Keeps PostgreSQL from turning a question about one incident into one about all tasks there are.
BY_ITSELF = " offset 0"
_OF_GRIDS = "i.grid_id = any(:scope_grids)"
_OF_STAFF = "scoped.assignee_id = any(:scope_staff)"
_OF_UNITS = "scoped.unit_id = any(array(select unit_id from staff where id = any(:scope_staff)))"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whole grids, posts of grids as (grid id, post), and the people whose tasks may be seen."""

    grid_ids: tuple[int, ...] = ()
    staff_ids: tuple[int, ...] = ()
    posts: tuple[tuple[int, str], ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Conditions on `incident i` with the names of `values`; what fulfils any of them may be seen."""
        found: list[str] = []
        if self.grid_ids:
            found.append(_OF_GRIDS)
        if self.staff_ids:
            found += [_task_of(_OF_STAFF), _task_of(_OF_UNITS)]
        return (*found, *self._of_posts(BY_ITSELF)) or ("false",)

    @property
    def clause(self) -> str:
        """All of `parts` as one condition."""
        return f"({' or '.join(self.parts)})"

    @property
    def asked_each(self) -> str:
        """`clause` for rows that are walked through until there are enough: each incident's own tasks are looked at."""
        found = [_OF_GRIDS] if self.grid_ids else []
        if self.staff_ids:
            found.append(_task_of(f"({_OF_STAFF} or {_OF_UNITS})", BY_ITSELF))
        return f"({' or '.join((*found, *self._of_posts(BY_ITSELF))) or 'false'})"

    def _of_posts(self, ending: str = "") -> list[str]:
        """Tasks of a post in the grids where it is held, post by post: each has its own index."""
        return [
            f"(i.grid_id = any(:scope_grids_{name}) and {_task_of(f'scoped.post = :scope_post_{name}', ending)})"
            for name in _names(self.posts)
        ]

    @property
    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.grid_ids:
            values["scope_grids"] = list(self.grid_ids)
        if self.staff_ids:
            values["scope_staff"] = list(self.staff_ids)
        for name, post in _names(self.posts).items():
            values[f"scope_post_{name}"] = post
            values[f"scope_grids_{name}"] = [grid for grid, held in self.posts if held == post]
        return values


def _task_of(condition: str, ending: str = "") -> str:
    """That an incident has such a task."""
    return (
        "exists (select 1 from task scoped where scoped.incident_id = i.id"  # noqa: S608 (our own text)
        f" and {condition}{ending})"
    )


def _names(posts: tuple[tuple[int, str], ...]) -> dict[str, str]:
    """A name for each post among a person's, as part of the names of `values`: a, b …"""
    return {chr(ord("a") + n): post for n, post in enumerate(sorted({post for _, post in posts}))}


# Everybody below a person in the lines of reporting, the person included; a loop ends by `union`.
_LINE = """
    with recursive line (id) as (
        select cast(:staff as bigint)
        union
        select s.id from staff s join line on s.reports_to = line.id
    )
    select id from line
"""
_UNIT = """
    select p.id from staff p join staff head on head.unit_id = p.unit_id and head.heads_unit
    where head.id = :staff union select cast(:staff as bigint)
"""
_POSTS = """
    select distinct coalesce(h.grid_id, g.grid_id) as grid_id, h.post from post_holding h
    left join grid_segment g on g.segment_id = h.segment_id and g.valid @> cast(:now as timestamptz)
    where h.staff_id = any(:people) and h.valid @> cast(:now as timestamptz)
"""


def scope_of(session: Session, staff_id: int, reach: Reach, now: datetime) -> Scope | None:
    """What a person may see; None is everything."""
    if reach == "all":
        return None
    if reach == "unit":
        return Scope((), _ids(session, _UNIT, staff=staff_id) or (staff_id,))
    if reach == "line":
        people = _ids(session, _LINE, staff=staff_id)
        led = [grid for grid, post in _posts(session, people, now) if post == "leader"]
        return Scope(tuple(led), people)
    return Scope((), (staff_id,), _posts(session, (staff_id,), now))


def visible(session: Session, scope: Scope, number: str) -> bool:
    """Whether an incident lies within a scope."""
    found = session.scalar(
        text(f"select 1 from incident i where i.number = :number and {scope.clause}"),  # noqa: S608
        {"number": number, **scope.values},
    )
    return found is not None


def _posts(session: Session, people: tuple[int, ...], now: datetime) -> tuple[tuple[int, str], ...]:
    rows = session.execute(text(_POSTS), {"people": list(people), "now": now})
    return tuple(sorted((row.grid_id, row.post) for row in rows if row.grid_id is not None))


def _ids(session: Session, statement: str, **values: Any) -> tuple[int, ...]:
    return tuple(sorted(session.scalars(text(statement), values)))
