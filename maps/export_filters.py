"""What an export is asked for, and the one query that reads it: every value a quoted literal, never pasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from psycopg import sql

from grid.core.errors import BadInput
from maps.dictionary import Column, columns_of
from maps.export_cql import condition
from maps.layers import Layer

if TYPE_CHECKING:
    from dispatch.reading import IncidentFilter

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of an export; `bbox` in degrees, moments aware, `at` the moment of the layers (None: now).

    `desk` are the console's own filters, for layers of incidents; they mean there what they mean in its list.
    `limit_sql` is a condition on the incidents `i` that bounds what this reader may see (with `limit_values`),
    `grid_ids` the grids this reader may see counts of; None is everything.
    """

    bbox: Box | None = None
    where: str | None = None
    status: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    from_at: datetime | None = None
    to_at: datetime | None = None
    at: datetime | None = None
    columns: tuple[str, ...] = ()
    with_names: bool = False
    desk: IncidentFilter | None = None
    limit_sql: str | None = None
    limit_values: dict[str, Any] | None = None
    grid_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A query and the columns it gives: attributes in order, then `geom` as the geometry itself."""

    query: sql.Composable
    attributes: tuple[Column, ...]


def parse_box(written: str | None) -> Box | None:
    """`west,south,east,north` in degrees. Raises BadInput `bbox.unreadable`."""
    if not written:
        return None
    try:
        west, south, east, north = (float(part) for part in written.split(","))
    except ValueError as error:
        raise BadInput("bbox.unreadable", field="bbox", bbox=written) from error
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadInput("bbox.unreadable", field="bbox", bbox=written)
    return west, south, east, north


def parse_moment(written: str | None, zone: ZoneInfo, field: str) -> datetime | None:
    """An ISO date (its first moment in the town) or moment; one without a zone is the town's. Raises BadInput `export.moment_unreadable`."""
    if not written:
        return None
    try:
        # In a URL, + is a space: 2026-03-01T00:00:00+08:00 comes in like this from hand-written links.
        found = datetime.fromisoformat(
            written.strip().replace(" ", "+") if "T" in written else written
        )
        if len(written.strip()) == 10:
            found = datetime.combine(date.fromisoformat(written.strip()), time())
    except ValueError as error:
        raise BadInput("export.moment_unreadable", field=field, moment=written) from error
    return found if found.tzinfo else found.replace(tzinfo=zone)


def parse_list(written: str | Sequence[str] | None) -> tuple[str, ...]:
    """Values with commas between, or repeated."""
    parts = [written] if isinstance(written, str) else list(written or ())
    return tuple(item.strip() for part in parts for item in part.split(",") if item.strip())


def check_filters(layers: Sequence[Layer], wanted: Wanted) -> None:
    """Every filter fits at least one of the layers. Raises BadInput `export.filter_unfit` (filter, layer), `export.period_turned`."""
    fits = {
        "status": (wanted.status, any(layer.status for layer in layers)),
        "grid": (wanted.grid, any(layer.grid for layer in layers)),
        "category": (wanted.category, any(layer.category or layer.function for layer in layers)),
        "from": (wanted.from_at, any(layer.time or layer.function for layer in layers)),
        "to": (wanted.to_at, any(layer.time or layer.function for layer in layers)),
        **dict.fromkeys(desk_names(wanted.desk), (True, any(layer.bounded for layer in layers))),
    }
    for name, (given, fit) in fits.items():
        if given and not fit:
            names = ", ".join(layer.name for layer in layers)
            raise BadInput("export.filter_unfit", field=name, filter=name, layer=names)
    if wanted.from_at and wanted.to_at and wanted.from_at >= wanted.to_at:
        raise BadInput("export.period_turned", field="to")
    if any(layer.function for layer in layers) and len(wanted.category) > 1:
        raise BadInput("export.one_category", field="category")


def desk_names(desk: IncidentFilter | None) -> tuple[str, ...]:
    """What of the console's filters is asked, as the address says it."""
    if desk is None:
        return ()
    given = {
        "queue": desk.queue, "q": desk.words, "open": desk.open_only, "post": desk.post,
        "assignee": desk.assignee_id, "channel": desk.channel, "flag": desk.flag,
        "overdue": desk.overdue_at,
    }  # fmt: skip
    return tuple(name for name, value in given.items() if value)


def reading(
    layer: Layer,
    wanted: Wanted,
    geometry: str = "st_asbinary(i.geom) as geom",
    *,
    plain: bool = False,
    ids: tuple[int | None, int | None] = (None, None),
) -> Reading:
    """The query of a layer under the filters; the `geometry` expression on `i` comes last. `plain`: moments and flags as text and 1 or 0.
    `ids`: only ids from (included) and to (left out).

    Raises what `maps.export_cql.condition` raises, and BadInput `export.column_unknown`.
    """
    known = [entry for entry in columns_of(layer) if entry.type != "geometry"]
    names = [entry.column for entry in known]
    strange = [name for name in wanted.columns if name not in names]
    if strange:
        raise BadInput(
            "export.column_unknown", field="columns", column=strange[0], known=", ".join(names)
        )
    asked = wanted.columns or tuple(names)
    shown = [
        entry
        for entry in columns_of(layer, with_names=wanted.with_names)
        if entry.type != "geometry" and (entry.column in asked or (entry.named and f"{entry.column.removesuffix('_no')}_id" in asked))
    ]  # fmt: skip
    picked = [_expression(entry, plain) for entry in shown]
    parts = sql.SQL(", ").join([*picked, sql.SQL(geometry)])
    clauses = [*_clauses(layer, wanted)]
    if wanted.where:
        clauses.append(condition(wanted.where, names))
    for sign, end in zip((">=", "<"), ids, strict=True):
        if end is not None:
            clauses.append(sql.SQL("i.id " + sign + " {}").format(sql.Literal(end)))
    query = sql.SQL("select {} from {} as i").format(parts, _source(layer, wanted))
    if clauses:
        query += sql.SQL(" where ") + sql.SQL(" and ").join(clauses)
    return Reading(query, tuple(shown))


def _expression(entry: Column, plain: bool) -> sql.Composable:
    if entry.named:
        return _name_of(entry)
    column = sql.Identifier("i", entry.column)
    if plain and entry.type == "moment":
        form = sql.Literal('YYYY-MM-DD"T"HH24:MI:SS"Z"')
        shown = sql.SQL("to_char({} at time zone 'UTC', {})").format(column, form)
    elif plain and entry.type == "flag":
        shown = sql.SQL("{}::int").format(column)
    else:
        return column
    return sql.SQL("{} as {}").format(shown, sql.Identifier(entry.column))


def _name_of(entry: Column) -> sql.Composable:
    """A person's name or number beside the id; the table of people is small and looked up once for each row that has one."""
    return sql.SQL("(select p.{} from gis.people p where p.id = {}) as {}").format(
        sql.Identifier("staff_no" if entry.column.endswith("_no") else "name"),
        sql.Identifier("i", f"{entry.column.removesuffix('_no')}_id"),
        sql.Identifier(entry.column),
    )


def _source(layer: Layer, wanted: Wanted) -> sql.Composable:
    if layer.function is None or not (wanted.from_at or wanted.to_at or wanted.category):
        return sql.Identifier("gis", layer.name)
    until: sql.Composable = sql.Literal(wanted.to_at) if wanted.to_at else sql.SQL("gis.moment()")
    since: sql.Composable = (
        sql.Literal(wanted.from_at)
        if wanted.from_at
        else sql.SQL("({} - interval '90 days')").format(until)
    )
    only = sql.Literal(wanted.category[0] if wanted.category else None)
    return sql.SQL("(select * from gis.{}({}, {}, {}))").format(
        sql.Identifier(layer.function), since, until, only
    )


def _clauses(layer: Layer, wanted: Wanted) -> list[sql.Composable]:
    found: list[sql.Composable] = []
    for columns, values in (
        (layer.status, wanted.status),
        (layer.grid, wanted.grid),
        (layer.category, wanted.category),
    ):
        if columns and values:
            either = [
                sql.SQL("{} = any({}::text[])").format(
                    sql.Identifier("i", name), sql.Literal(list(values))
                )
                for name in columns
            ]
            found.append(sql.SQL("({})").format(sql.SQL(" or ").join(either)))
    if layer.time and wanted.from_at:
        found.append(
            sql.SQL("{} >= {}").format(sql.Identifier("i", layer.time), sql.Literal(wanted.from_at))
        )
    if layer.time and wanted.to_at:
        found.append(
            sql.SQL("{} < {}").format(sql.Identifier("i", layer.time), sql.Literal(wanted.to_at))
        )
    if wanted.bbox:
        box = sql.SQL(", ").join(sql.Literal(edge) for edge in wanted.bbox)
        found.append(sql.SQL("i.geom && st_makeenvelope({}, 4326)").format(box))
    if layer.bounded and wanted.desk is not None:
        found.append(_of_desk(wanted.desk))
    if layer.bounded and wanted.limit_sql:
        found.append(_bound(wanted.limit_sql, wanted.limit_values or {}))
    if layer.name == "evaluation_by_grid" and wanted.grid_ids is not None:
        found.append(sql.SQL("i.id = any({}::bigint[])").format(sql.Literal(list(wanted.grid_ids))))
    return found


def _of_desk(desk: IncidentFilter) -> sql.Composable:
    """The console's own conditions, on its own table: words are looked for where no layer has them."""
    # Only whoever asks pays for what it loads.
    from dispatch.reading import where_of

    where = where_of(desk)
    inner = _bound(where.sql(), where.values)
    return sql.SQL("i.id in (select i.id from public.incident i{})").format(inner)


def _bound(clause: str, values: dict[str, Any]) -> sql.Composable:
    """A condition with :names filled by literals; a double colon is a cast and stays."""
    pieces: list[sql.Composable] = []
    rest = clause
    while rest:
        places = [(rest.find(f":{name}"), name) for name in values if f":{name}" in rest]
        if not places:
            break
        # The longest name first: :grid_ids is not :grid_id with an s.
        place, name = min(places, key=lambda found: (found[0], -len(found[1])))
        pieces += [sql.SQL(rest[:place]), sql.Literal(values[name])]
        rest = rest[place + len(name) + 1 :]
    pieces.append(sql.SQL(rest))
    return sql.Composed(pieces)
