"""`gridward geocode` and `gridward route`: the words and points of long files, on all cores or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, steps
from api.cli.tables import Piece, Printer, Writer, joined, numbers, pieces, texts
from api.cli.team import cores, ended_by_signal, in_turn, team
from dispatch.bulk import EPOCH, CrewBook, Placed, PointRouter, Stretch, read_point_router
from dispatch.bulk_words import WordFinder
from grid.bulk_locate import read_ground_index
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput, Conflict
from grid.crews import Crew
from grid.reach import Reach
from grid.town import town_facts

# Rows in one piece of work: reading words takes a hundred times as long as routing a point.
ROUTE_ROWS, GEOCODE_ROWS = 50_000, 1_000
DATUM_COLUMN = "datum"

Cores = Annotated[
    int | None, typer.Option("--cores", min=1, help="Processes to use; all cores unless told.")
]


def geocode(
    source: Annotated[Path, typer.Argument(metavar="IN.csv", help="csv or parquet.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.csv", help="csv or parquet.")],
    column: Annotated[str, typer.Option("--column", help="The column with the words.")],
    lon: Annotated[
        str | None, typer.Option(help="A column with longitudes, to check against.")
    ] = None,
    lat: Annotated[str | None, typer.Option(help="A column with latitudes.")] = None,
    datum: Annotated[str, typer.Option(help="Datum of those columns.")] = "wgs84",
    width: Cores = None,
    as_json: Json = False,
) -> None:
    """Add place, street, segment and grid to a table. Example: gridward geocode in.csv out.csv --column text"""
    rows = answered = 0
    wanted = _Words(column, lon, lat, datum, _us(datetime.now(UTC)))
    _known_datum(datum)
    # What the file lacks is told before the town is read, which takes a while for a large one.
    first, rest = _begun(pieces(source, (column, *filter(None, (lon, lat))), GEOCODE_ROWS))
    with ended_by_signal(), Writer(target) as writer, opened(keep=False) as (services, session):
        ground, _ = services.desk.read(session)
        if ground is None:
            raise Conflict("town.empty")
        reach = Reach(ground.boundary, services.settings.town.reach_m)
        finder = WordFinder(ground, read_ground_index(session), reach)
        # The first pass through an index compiles it; workers find that done.
        finder.table([], None, wanted.at_us)
        with team(finder, _width(width, first)) as workers, steps() as step:
            answers = in_turn(
                workers,
                chain(first, rest),
                lambda piece: workers.ask(_find, piece.table, wanted, writer.printer),
            )
            for piece, (printed, like, known) in answers:
                writer.write(printed, like)
                rows += len(piece.table)
                answered += known
                step(f"{rows:,}  {piece.share:.0%}")
    finish({"rows": rows, "answered": answered, "file": str(target)}, as_json)


def route(
    source: Annotated[Path, typer.Argument(metavar="IN", help="csv or parquet with lon, lat.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="csv or parquet.")],
    category: Annotated[str | None, typer.Option(help="The column with category codes.")] = None,
    at: Annotated[str | None, typer.Option(help="The column with moments.")] = None,
    datum: Annotated[
        str, typer.Option(help="Datum of lon, lat where a column `datum` does not tell it.")
    ] = "wgs84",
    dask: Annotated[
        str | None, typer.Option("--dask", help="A Dask scheduler: tcp://host:8786.")
    ] = None,
    width: Cores = None,
    as_json: Json = False,
) -> None:
    """Add segment, grid, post and person to a table of points. Example: gridward route in.csv out.csv --category code"""
    rows = routed = 0
    _known_datum(datum)
    # What the file lacks is told before the town is read, which takes a while for a large one.
    first, rest = _begun(pieces(source, ("lon", "lat", *filter(None, (category, at))), ROUTE_ROWS))
    with ended_by_signal(), Writer(target) as writer, opened(keep=False) as (services, session):
        epsg, catalogue = town_facts(session).plane_epsg, services.desk.catalogue(session)
        settings = services.settings.town
        router = read_point_router(session, read_ground_index(session), catalogue, settings, epsg)
        wanted = _Points(category, at, datum, services.desk.zone, _us(datetime.now(UTC)))
        book = CrewBook(session)
        router.place(np.zeros(1), np.zeros(1), [None], np.zeros(1, dtype=np.int64), threads=1)
        with team(router, _width(width, first), dask) as workers, steps() as step:
            # Two rounds: workers have no database, so people are read here, between placing and printing.
            placed = in_turn(
                workers,
                chain(first, rest),
                lambda piece: workers.ask(_place, piece.table, wanted),
            )
            known = ((piece, place, book.crews(place.stretches)) for piece, place in placed)
            printed_in_turn = in_turn(
                workers,
                known,
                lambda done: workers.ask(_print, done[0].table, *done[1:], writer.printer),
            )
            for (piece, *_), (printed, like, count) in printed_in_turn:
                writer.write(printed, like)
                rows += len(piece.table)
                routed += count
                step(f"{rows:,}  {piece.share:.0%}")
    finish({"rows": rows, "routed": routed, "file": str(target)}, as_json)


@dataclass(frozen=True, slots=True)
class _Words:
    """Where the words of a table stand."""

    column: str
    lon: str | None
    lat: str | None
    datum: str
    at_us: int


@dataclass(frozen=True, slots=True)
class _Points:
    """Where category and moment of a table's points stand; datum and moment of those that tell none."""

    category: str | None
    at: str | None
    datum: str
    zone: ZoneInfo
    now_us: int


def _find(
    finder: WordFinder, table: pa.Table, wanted: _Words, printer: Printer
) -> tuple[pa.Table | bytes, pa.Table, int]:
    """Rows printed, the file's columns, how many were found."""
    near = None
    if wanted.lon is not None and wanted.lat is not None:
        near = _wgs84(numbers(table, wanted.lon), numbers(table, wanted.lat), wanted.datum)
    words = [cell or "" for cell in texts(table, wanted.column)]
    added = finder.table(words, near, wanted.at_us)
    known = len(added) - added["segment_id"].null_count
    return _printed(table, added, printer, known)


def _place(router: PointRouter, table: pa.Table, wanted: _Points) -> Placed:
    lon, lat = numbers(table, "lon"), numbers(table, "lat")
    told: list[str | None] = [None] * len(table)
    if DATUM_COLUMN in table.column_names:
        told = texts(table, DATUM_COLUMN)
    datums = np.array([(d or "").strip() or wanted.datum for d in told], dtype=object)
    for datum in pd.unique(datums):
        of = datums == datum
        lon[of], lat[of] = _wgs84(lon[of], lat[of], datum)
    codes: list[str | None] = [None] * len(table)
    if wanted.category:
        codes = [None if c is None else _code(c) for c in texts(table, wanted.category)]
    moments = np.full(len(table), wanted.now_us)
    if wanted.at:
        moments = _moments(table[wanted.at].to_pandas(), wanted.at, wanted.zone)
    return router.place(lon, lat, codes, moments, threads=1)


def _print(
    router: PointRouter,
    table: pa.Table,
    placed: Placed,
    crews: dict[Stretch, Crew],
    printer: Printer,
) -> tuple[pa.Table | bytes, pa.Table, int]:
    """Rows printed, the file's columns, how many have a grid."""
    added = router.table(placed, crews)
    return _printed(table, added, printer, len(added) - added["grid_code"].null_count)


def _printed(
    table: pa.Table, added: pa.Table, printer: Printer, count: int
) -> tuple[pa.Table | bytes, pa.Table, int]:
    whole = joined(table, added)
    return printer.printed(whole), whole.schema.empty_table(), count


def _known_datum(datum: str) -> None:
    """BadInput `datum.unknown`, before anything is read."""
    try:
        to_wgs84(0.0, 0.0, datum)
    except BadInput as error:
        # 0, 0 need not lie in a datum's land.
        if error.code == "datum.unknown":
            raise


def _begun(read: Iterator[Piece]) -> tuple[list[Piece], Iterator[Piece]]:
    """The first two pieces, to see whether there is work for more than one, and the rest."""
    return list(islice(read, 2)), read


def _width(asked: int | None, first: list[Piece]) -> int:
    """How many processes: one for a file of one piece."""
    return 1 if len(first) < 2 else asked or cores()


def _wgs84(lon: Any, lat: Any, datum: str) -> tuple[Any, Any]:
    """Points in WGS 84; where there is none, NaN stays NaN. BadInput `datum.unknown`."""
    there = np.isfinite(lon) & np.isfinite(lat)
    x, y = np.full(len(lon), np.nan), np.full(len(lon), np.nan)
    x[there], y[there] = to_wgs84(lon[there], lat[there], datum)
    return x, y


def _code(value: str) -> str:
    """A category code as written; a spreadsheet may have eaten its leading zero."""
    written = value.strip().removesuffix(".0")
    return written.zfill(5) if written.isdigit() and len(written) == 4 else written


def _moments(column: pd.Series, name: str, zone: Any) -> Any:
    moments = pd.to_datetime(column, errors="coerce", format="mixed", utc=False)
    if moments.isna().any():
        first = int(np.flatnonzero(moments.isna().to_numpy())[0])
        raise BadInput("import.time_unreadable", field=name, text=str(column.iloc[first]))
    aware = moments if moments.dt.tz is not None else moments.dt.tz_localize(zone)
    return aware.dt.tz_convert("UTC").dt.as_unit("us").astype("int64").to_numpy()


def _us(moment: datetime) -> int:
    return int((moment - EPOCH).total_seconds() * 1_000_000)
