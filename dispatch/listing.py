"""Which incidents stand on a page of a list, and how many fit: the same few statements at any size.

What indexes know is gathered by them in any order, up to what is counted; if that was all, it is put in order. If there
is more, the order's own index gives the page. Words, a post's tasks and a wide scope are sieves, of which no index knows
both what fits and the order: the first incidents of the order are looked at one by one. How many of these fit tells
what is quicker: to read on until enough is counted, or to gather.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from dispatch.filters import IncidentFilter, Where, where_of, words_of
from dispatch.moves import TASK_OPEN, TaskState
from dispatch.scope import Scope
from grid.core.values import dataclass

SORTS = {
    "reported_at": "i.reported_at asc, i.id",
    "-reported_at": "i.reported_at desc, i.id desc",
    "due_at": "i.due_at asc nulls last, i.id",
    "-due_at": "i.due_at desc nulls last, i.id desc",
    "number": "i.number",
}
# Of a long list only so many are counted exactly; beyond, "at least" is said. A county sees its year whole;
# among more than LARGE_TABLE incidents counting so far would be what a list waits for.
COUNT_LIMIT = 10_000
LARGE_TABLE = 100_000
LARGE_COUNT_LIMIT = 1_000
# So many incidents are looked at first; read on among at most READ_ON where that counts enough, or for the page
# alone among WALK_LIMIT.
FIRST_LOOK = 1_000
READ_ON = 12_000
WALK_LIMIT = 50_000
# With more people than these, looking at each incident's tasks is quicker than gathering all theirs.
FEW_PEOPLE = 20
# An incident seldom has more tasks of one post or unit than these.
TASKS_EACH = 3
KEYS = "i.id, i.number, i.reported_at, i.due_at"
_SEEN = f"{KEYS}, i.grid_id, i.description, i.address, i.flags"
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Span:
    """A page's place in a list: `order` in SQL, and `most`, one more than what is counted."""

    order: str
    limit: int
    offset: int
    most: int

    @property
    def walkable(self) -> bool:
        """Whether an index holds this order of everything that ever was."""
        return self.order != SORTS["-due_at"]

    @property
    def upto(self) -> int:
        return self.offset + self.limit


def count_limit(session: Session) -> int:
    """How far a list is counted. A list needs no second process either, which costs more than it brings."""
    row = _rows(
        session,
        "select (select max(id) from incident), set_config('max_parallel_workers_per_gather', '0', true)",
        {},
        prepare=True,
    )[0]
    return COUNT_LIMIT if (row[0] or 0) <= LARGE_TABLE else LARGE_COUNT_LIMIT


def page_of_ids(session: Session, asked: IncidentFilter, span: Span) -> tuple[int, list[int]]:
    """How many fit (from `span.most` on only that it is so many), and the ids of a page in order."""
    if asked.grid and asked.grid_ids is None:
        rows = _rows(session, _GRIDS, {"grid": asked.grid}, prepare=True)
        asked = replace(asked, grid_ids=tuple(row[0] for row in rows))
    if not _sifted(asked) or not (span.walkable or asked.open_only):
        count, ids = _page(session, _gathered(asked, f"limit {span.most}"), span)
        return (count, ids) if count < span.most else (count, _ordered(session, asked, span))
    look = _first_look(session, asked, span)
    if look.whole:
        return len(look.ids), look.ids[span.offset : span.upto]
    count, ids = _counted(session, asked, span, look)
    if count < span.most or len(ids) == span.limit:
        return count, ids
    if len(look.ids) >= span.upto:
        return count, look.ids[span.offset : span.upto]
    _, ids = _page(session, _walked(asked, span, WALK_LIMIT, span.upto), span)
    return count, ids if len(ids) == span.limit else _ordered(session, asked, span)


_GRIDS = "select id from grid where code = :grid"


@dataclass(frozen=True, slots=True)
class _Look:
    """The first incidents of an order: whether these are all, the share that words and flags leave, the ids that fit."""

    whole: bool
    share: float
    ids: list[int]


def _sifted(asked: IncidentFilter) -> bool:
    """Whether a filter is a sieve. The tasks of few people are soon gathered, whatever else is asked."""
    few = asked.scope is not None and len(asked.scope.staff_ids) <= FEW_PEOPLE
    sieves = asked.scope is not None, asked.post, words_of(asked), asked.flag
    return not few and any(sieves) and asked.words == (words_of(asked) or None)


def _frame(asked: IncidentFilter) -> IncidentFilter:
    return replace(asked, scope=None, post=None, words=None, flag=None)


def _first_look(session: Session, asked: IncidentFilter, span: Span) -> _Look:
    frame = where_of(_frame(asked))
    text_ = where_of(IncidentFilter(words=asked.words, flag=asked.flag), indexed=False)
    tasks = where_of(IncidentFilter(scope=asked.scope, post=asked.post), indexed=False)
    row = _rows(
        session,
        f"with seen as materialized (select {_SEEN} from incident i {frame.sql()}"  # noqa: S608
        f" order by {span.order} limit {FIRST_LOOK}),"
        f" said as materialized (select * from seen i {text_.sql()})"
        " select (select count(*) from seen), (select count(*) from said),"
        f" array(select i.id from said i {tasks.sql()} order by {span.order})",
        {**frame.values, **text_.values, **tasks.values},
    )[0]
    seen, said, ids = row
    return _Look(seen < FIRST_LOOK, said / max(seen, 1), list(ids))


def _counted(
    session: Session, asked: IncidentFilter, span: Span, look: _Look
) -> tuple[int, list[int]]:
    """How many fit, at most `span.most`, and the page where counting found it as well."""
    of_tasks = asked.scope is not None or asked.post is not None
    if of_tasks and not words_of(asked) and _by_tasks(session, asked, span) >= span.most:
        return span.most, []
    enough = span.most / READ_ON
    dense = len(look.ids) / FIRST_LOOK >= enough
    if asked.scope is not None and asked.scope.grid_ids:
        # Whole grids are told without their tasks; mostly they are enough.
        of_grids = replace(asked, scope=Scope(asked.scope.grid_ids))
        if dense:
            found = _walked(of_grids, span, READ_ON, span.most)
        elif look.share >= enough and _frame(asked) == _NOTHING:
            found = _newest_of_grids(of_grids, span)
        else:
            found = _gathered(of_grids, f"limit {span.most}")
        if _page(session, found, span)[0] >= span.most:
            return span.most, []
    if dense:
        count, ids = _page(session, _walked(asked, span, READ_ON, span.most), span)
        if count >= span.most or _frame_holds(session, asked) < READ_ON:
            return count, ids
    count, ids = _page(session, _gathered(asked, f"limit {span.most}"), span)
    return count, ids if count < span.most else []


def _frame_holds(session: Session, asked: IncidentFilter) -> int:
    """How many incidents a walk could look at, at most READ_ON."""
    frame = where_of(_frame(asked))
    counting = f"select count(*) from (select 1 from incident i {frame.sql()} limit {READ_ON}) seen"  # noqa: S608
    return int(_rows(session, counting, frame.values)[0][0])


def _newest_of_grids(asked: IncidentFilter, span: Span) -> tuple[str, dict[str, Any]]:
    """`_gathered` of whole grids for words that are on many incidents: the newest of each grid, one by one."""
    sieve = where_of(IncidentFilter(words=asked.words, flag=asked.flag), indexed=False)
    grids = list(asked.scope.grid_ids if asked.scope else ())
    newest = (
        f"select {_SEEN} from incident i where i.grid_id = g.id"  # noqa: S608 (made of constants)
        f" order by i.reported_at desc limit {READ_ON // len(grids) + 1}"
    )
    statement = (
        f"select {KEYS} from unnest(cast(:scope_grids as bigint[])) g (id)"  # noqa: S608
        f" cross join lateral ({newest}) i {sieve.sql()} limit {span.most}"
    )
    return statement, {"scope_grids": grids, **sieve.values}


def _by_tasks(session: Session, asked: IncidentFilter, span: Span) -> int:
    """At least how many fit, counted on a few thousand tasks; 0 where these say nothing."""
    if asked not in (
        replace(_NOTHING, scope=asked.scope, open_only=asked.open_only),
        replace(_NOTHING, post=asked.post),
    ):
        return 0
    values: dict[str, Any] = {"many": span.most * TASKS_EACH}
    if asked.post is not None:
        chosen, values["post"] = "k.post = :post order by k.incident_id desc", asked.post
    elif asked.scope is not None and asked.scope.staff_ids:
        chosen, values["staff"] = "k.assignee_id = any(:staff)", list(asked.scope.staff_ids)
        if asked.open_only:
            chosen += " and k.status = any(:unended)"
            values["unended"] = [state.value for state in TASK_OPEN | {TaskState.WAITING}]
    else:
        return 0
    open_ = "join incident i on i.id = k.incident_id where i.ended_at is null"
    return int(
        _rows(
            session,
            "select count(distinct k.incident_id) from (select k.incident_id from task k"  # noqa: S608
            f" where {chosen} limit :many) k {open_ if asked.open_only else ''}",
            values,
        )[0][0]
    )


_NOTHING = IncidentFilter()


def _ordered(session: Session, asked: IncidentFilter, span: Span) -> list[int]:
    return _page(session, _gathered(asked, f"order by {span.order} limit {span.upto}"), span)[1]


def _gathered(asked: IncidentFilter, ending: str) -> tuple[str, dict[str, Any]]:
    """The keys of what fits, each part of a scope asked by itself: each has its own index, together they have none."""
    found: list[str] = []
    values: dict[str, Any] = {}
    for where in _parts(asked):
        values |= where.values
        found.append(f"(select {KEYS} from incident i {where.sql()} {ending})")  # noqa: S608
    return " union ".join(found), values


def _parts(asked: IncidentFilter) -> list[Where]:
    """The filter's conditions, once for each part of its scope."""
    if asked.scope is None:
        return [where_of(asked)]
    found = []
    for part in asked.scope.parts:
        where = where_of(replace(asked, scope=None))
        where.add(part, **asked.scope.values)
        found.append(where)
    return found


def _walked(asked: IncidentFilter, span: Span, among: int, upto: int) -> tuple[str, dict[str, Any]]:
    """The keys of the first `upto` that fit, in order, among so many incidents looked at one by one."""
    frame = where_of(_frame(asked))
    sieve = where_of(
        IncidentFilter(scope=asked.scope, post=asked.post, words=asked.words, flag=asked.flag),
        indexed=False,
    )
    statement = (
        f"select {KEYS} from (select {_SEEN} from incident i {frame.sql()}"  # noqa: S608
        f" order by {span.order} limit {among}) i {sieve.sql()} limit {upto}"
    )
    return statement, {**frame.values, **sieve.values}


def _page(
    session: Session, gathered: tuple[str, dict[str, Any]], span: Span
) -> tuple[int, list[int]]:
    """How many a statement finds, and the page among them."""
    statement, values = gathered
    row = _rows(
        session,
        f"with i as materialized ({statement}) select (select count(*) from i),"  # noqa: S608
        f" array(select i.id from i order by {span.order} limit :limit offset :offset)",
        {**values, "limit": span.limit, "offset": span.offset},
    )[0]
    return int(row[0]), list(row[1])


def _rows(
    session: Session, statement: str, values: dict[str, Any], *, prepare: bool = False
) -> list[Any]:
    """Rows of a statement, planned for these very values where it is not prepared: one word is on every tenth incident, another on none."""
    connection: Any = session.connection().connection.driver_connection
    named = _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))
    rows: list[Any] = connection.execute(named, values, prepare=prepare).fetchall()
    return rows
