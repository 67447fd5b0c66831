"""One page of a layer for a program that turns pages: few rows, each once, in a steady order.

Pages by key (`after`) cost the same at the end of a million rows as at their beginning; a place in another order
is by `offset`. Nothing is counted unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import cql2
import psycopg
from psycopg import sql

from grid.core.errors import BadInput
from maps.dictionary import columns_of
from maps.export_filters import Wanted, reading
from maps.layers import Layer

LARGEST_PAGE = 10_000
LARGEST_OFFSET = 100_000
COUNT_MS = 3_000
# So many rows are put in order in a few hundredths of a second.
FEW_ROWS = 50_000
_FILTER_FAULTS = ("22", "42")


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page: at most `limit` rows after the id `after`, or from `offset` on; `sort` as (column, falling).

    `equal` are (column, value) pairs, `ids` the only ids, `span` the moments (from, to; both included) that a
    layer's own time must lie in. `geometry` is the expression on `i` that comes last.
    """

    limit: int = 1000
    after: int | None = None
    offset: int = 0
    sort: tuple[tuple[str, bool], ...] = ()
    ids: tuple[int, ...] | None = None
    equal: tuple[tuple[str, str], ...] = ()
    span: tuple[datetime | None, datetime | None] = (None, None)
    geometry: str = "st_asgeojson(i.geom) as geom"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as tuples under `columns`, `geom` last, and whether more follow."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def cql2_text(written: str, language: str) -> str:
    """A filter in CQL2 JSON as CQL2 text; text as it is. Raises BadInput `export.where_unreadable`."""
    if language == "cql2-text":
        return written
    try:
        return str(cql2.parse_json(written).to_text())
    except Exception as error:  # the library's errors have no common class
        problem = " ".join(str(error).split())[:300]
        raise BadInput("export.where_unreadable", field="filter", problem=problem) from error


def read_page(connection: psycopg.Connection, layer: Layer, wanted: Wanted, turn: Turn) -> Page:
    """One page of a layer under the filters. The connection commits each statement by itself.

    Raises what `reading` raises, BadInput `export.column_unknown` and `export.where_unfit`.
    """
    columns, query, chosen = _page(connection, layer, wanted, replace(turn, limit=turn.limit + 1))
    if chosen is None:
        rows = run(connection, query(sql.SQL("")), binary=True)
    else:
        # The words are the same for every page: they are planned once, which is a fifth of the reading.
        with psycopg.RawCursor(connection) as cursor:
            words = query(sql.SQL("$1::bigint[]")).as_bytes(connection)
            rows = cursor.execute(words, (chosen,), prepare=True, binary=True).fetchall()
    return Page(columns, rows[: turn.limit], len(rows) > turn.limit)


def page_query(
    connection: psycopg.Connection, layer: Layer, wanted: Wanted, turn: Turn
) -> tuple[tuple[str, ...], sql.Composable]:
    """The columns and the query of a page. Raises as `read_page`."""
    columns, query, chosen = _page(connection, layer, wanted, turn)
    return columns, query(sql.SQL("{}::bigint[]").format(sql.Literal(chosen)))


def _page(
    connection: psycopg.Connection, layer: Layer, wanted: Wanted, turn: Turn
) -> tuple[tuple[str, ...], Callable[[sql.Composable], sql.Composable], list[int] | None]:
    """The columns of a page, its query for an expression of ids, and those; None where they are not chosen first."""
    if wanted.columns:
        wanted = replace(wanted, columns=("id", *wanted.columns))
    shown = reading(layer, wanted, turn.geometry)
    columns = (*(entry.column for entry in shown.attributes), "geom")
    # Of many rows the page is chosen by id alone first, so that no join is paid for rows that are not shown.
    if not layer.large:
        every = sql.SQL("select q.* from ({}) q{}{}").format(
            shown.query, _where(layer, turn), _order(layer, turn)
        )
        return columns, lambda _ids: every, None
    found = _looked_at(layer, wanted, turn)
    # Fenced off, the rows are found by place or state first and put in order then. Without, the planner walks along
    # the ids until the page is full, which is all of them when what was asked for lies at the end.
    # Where nothing is left out, the next rows are the page.
    gathered = _narrowed(wanted, turn) and _estimated(connection, found) <= FEW_ROWS
    fence = sql.SQL(" offset 0" if gathered else "")
    ids = sql.SQL("select q.id from ({}{}) q{}{}").format(
        found, fence, _where(layer, turn), _order(layer, turn)
    )
    chosen = [row[0] for row in run(connection, ids)]
    # The bounds of the reader stay; what else was asked has been answered.
    only = replace(wanted, where=None, bbox=None, status=(), grid=(), category=())
    whole = reading(layer, only, turn.geometry).query
    if not turn.sort:
        form = "select q.* from ({0}) q where q.id = any({1}) order by q.id"
    else:
        # The ids stand as a condition too: with so many joins in a view the planner reads every row before the last one.
        form = (
            "select q.* from ({0}) q join unnest({1}) with ordinality o (id, place)"
            " on o.id = q.id where q.id = any({1}) order by o.place"
        )
    return columns, lambda ids: sql.SQL(form).format(whole, ids), chosen


def _narrowed(wanted: Wanted, turn: Turn) -> bool:
    """Whether rows are left out, or put in an order of their own."""
    lists = (wanted.status, wanted.grid, wanted.category, turn.equal, turn.sort)
    given = (wanted.where, wanted.bbox, wanted.limit_sql, turn.ids, *turn.span)
    return any(lists) or any(one is not None for one in given)


def _estimated(connection: psycopg.Connection, query: sql.Composable) -> float:
    """How many rows PostgreSQL expects."""
    plan = run(connection, sql.SQL("explain (format json) select q.id from ({}) q").format(query))
    return float(plan[0][0][0]["Plan"]["Plan Rows"])


def count_rows(
    connection: psycopg.Connection, layer: Layer, wanted: Wanted, turn: Turn
) -> int | None:
    """How many rows there are on all pages; None when counting would take too long."""
    query = sql.SQL("select count(*) from ({}) q{}").format(
        _looked_at(layer, wanted, turn), _where(layer, replace(turn, after=None))
    )
    timed = sql.SQL("set local statement_timeout = {}; {}").format(sql.Literal(COUNT_MS), query)
    try:
        return int(run(connection, timed)[0][0])
    except psycopg.errors.QueryCanceled:
        return None


def _looked_at(layer: Layer, wanted: Wanted, turn: Turn) -> sql.Composable:
    """The rows with no more columns than a page is chosen and ordered by. Raises as `reading`, and `export.column_unknown`."""
    names = {"id", *(name for name, _ in turn.sort), *(name for name, _ in turn.equal)}
    if layer.time:
        names.add(layer.time)
    known = tuple(_known(layer, name) for name in sorted(names))
    bare = replace(wanted, columns=known, with_names=False)
    return reading(layer, bare, "i.geom as geom").query


def _where(layer: Layer, turn: Turn) -> sql.Composable:
    clauses: list[sql.Composable] = []
    for name, value in turn.equal:
        column = sql.Identifier("q", _known(layer, name))
        clauses.append(sql.SQL("{} = {}").format(column, sql.Literal(value)))
    if turn.ids is not None:
        clauses.append(sql.SQL("q.id = any({}::bigint[])").format(sql.Literal(list(turn.ids))))
    if layer.time:
        for sign, end in zip((">=", "<="), turn.span, strict=True):
            if end is not None:
                column = sql.Identifier("q", layer.time)
                clauses.append(sql.SQL("{} " + sign + " {}").format(column, sql.Literal(end)))
    if turn.after is not None:
        clauses.append(sql.SQL("q.id > {}").format(sql.Literal(turn.after)))
    if not clauses:
        return sql.SQL("")
    return sql.SQL(" where ") + sql.SQL(" and ").join(clauses)


def _order(layer: Layer, turn: Turn) -> sql.Composable:
    """The order always ends with the id, so that no row comes twice."""
    keys: list[sql.Composable] = []
    for name, falling in turn.sort:
        keys.append(
            sql.SQL("{} desc nulls last" if falling else "{}").format(
                sql.Identifier("q", _known(layer, name))
            )
        )
    keys.append(sql.SQL("q.id"))
    return sql.SQL(" order by {} limit {} offset {}").format(
        sql.SQL(", ").join(keys), sql.Literal(turn.limit), sql.Literal(turn.offset)
    )


def _known(layer: Layer, name: str) -> str:
    known = [entry.column for entry in columns_of(layer) if entry.type != "geometry"]
    if name not in known:
        raise BadInput("export.column_unknown", field="sortby", column=name, known=", ".join(known))
    return name


def run(
    connection: psycopg.Connection, query: sql.Composable, *, binary: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of a query; of several statements in one, those of the last. Raises BadInput `export.where_unfit`."""
    try:
        cursor = connection.execute(query.as_bytes(connection), binary=binary)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] not in _FILTER_FAULTS:
            raise
        problem = str(error).splitlines()[0][:300]
        raise BadInput("export.where_unfit", field="filter", problem=problem) from error
