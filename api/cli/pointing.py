"""`gridward geocode` and `gridward route`: the words and points of files, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from api.cli.opening import opened
from api.cli.output import Json, finish, steps
from dispatch.bulk import COLUMNS, EPOCH, BulkRouter
from dispatch.placing import find_words
from grid.bulk_locate import grids_of, read_ground_index
from grid.core.crs import from_plane, to_plane
from grid.core.datums import to_wgs84
from grid.core.errors import BadInput, Conflict, NotFound

CHUNK = 50_000
GEOCODE_COLUMNS = ("lon", "lat", "match", "confidence", "street", "segment_id", "grid_code")


def geocode(
    source: Annotated[Path, typer.Argument(metavar="IN.csv")],
    target: Annotated[Path, typer.Argument(metavar="OUT.csv")],
    column: Annotated[str, typer.Option("--column", help="The column with the words.")],
    lon: Annotated[
        str | None, typer.Option(help="A column with longitudes, to check against.")
    ] = None,
    lat: Annotated[str | None, typer.Option(help="A column with latitudes.")] = None,
    datum: Annotated[str, typer.Option(help="Datum of those columns.")] = "wgs84",
    as_json: Json = False,
) -> None:
    """Add place, street, segment and grid to a table. Example: gridward geocode in.csv out.csv --column text"""
    rows = answered = 0
    with opened(keep=False) as (services, session), steps() as step, _Writer(target) as writer:
        ground, _ = services.desk.read(session)
        if ground is None:
            raise Conflict("town.empty")
        index = read_ground_index(session)
        epsg, now_us = ground.town.plane_epsg, _us(datetime.now(UTC))
        for chunk in _chunks(source, (column, *filter(None, (lon, lat)))):
            near = _near(chunk, lon, lat, datum, epsg)
            found = find_words(chunk[column].fillna("").astype(str).tolist(), ground, near)
            place = np.array([(np.nan, np.nan) if a.x_m is None else (a.x_m, a.y_m) for a in found])
            row, side = _owners(index, place, [a.street_id for a in found])
            grid, _held = grids_of(index, row, side, np.full(len(row), now_us), place)
            out_lon, out_lat = from_plane(place[:, 0], place[:, 1], epsg)
            known = row >= 0
            added = pd.DataFrame(
                {
                    "lon": np.where(known, np.round(out_lon, 7), np.nan),
                    "lat": np.where(known, np.round(out_lat, 7), np.nan),
                    "match": [a.match for a in found],
                    "confidence": [round(a.confidence, 3) for a in found],
                    "street": [
                        a.street or (index.streets[r] if r >= 0 else None)
                        for a, r in zip(found, row, strict=True)
                    ],
                    "segment_id": pd.array(
                        np.where(known, index.segment_ids[np.where(known, row, 0)], 0),
                        dtype="Int64",
                    ),
                    "grid_code": [index.grids[g][0] if g >= 0 else None for g in grid],
                },
                index=chunk.index,
            )
            added.loc[~known, "segment_id"] = pd.NA
            writer.write(_joined(chunk, added))
            rows += len(chunk)
            answered += int(known.sum())
            step(f"{rows}")
    finish({"rows": rows, "answered": answered, "file": str(target)}, as_json)


def route(
    source: Annotated[Path, typer.Argument(metavar="IN", help="csv or parquet with lon, lat.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="csv or parquet.")],
    category: Annotated[str | None, typer.Option(help="The column with category codes.")] = None,
    at: Annotated[str | None, typer.Option(help="The column with moments.")] = None,
    datum: Annotated[str, typer.Option(help="Datum of lon, lat.")] = "wgs84",
    as_json: Json = False,
) -> None:
    """Add segment, grid, post and person to a table of points. Example: gridward route in.csv out.csv --category code"""
    rows = routed = 0
    with opened(keep=False) as (services, session), steps() as step, _Writer(target) as writer:
        ground, catalogue = services.desk.read(session)
        if ground is None:
            raise Conflict("town.empty")
        router = BulkRouter(
            session,
            read_ground_index(session),
            catalogue,
            services.settings.town,
            ground.town.plane_epsg,
        )
        now = datetime.now(UTC)
        for chunk in _chunks(source, ("lon", "lat", *filter(None, (category, at)))):
            there = to_wgs84(_number(chunk["lon"]), _number(chunk["lat"]), datum)
            codes: list[str | None] = [None] * len(chunk)
            if category:
                codes = [None if pd.isna(c) else _code(c) for c in chunk[category]]
            moments = (
                _moments(chunk[at], services.desk.zone) if at else np.full(len(chunk), _us(now))
            )
            added = router.route(*there, codes, moments)
            added.index = chunk.index
            writer.write(_joined(chunk, added[list(COLUMNS)]))
            rows += len(chunk)
            routed += int(added["grid_code"].notna().sum())
            step(f"{rows}")
    finish({"rows": rows, "routed": routed, "file": str(target)}, as_json)


def _owners(index: Any, place: Any, streets: list[int | None]) -> tuple[Any, Any]:
    """Row and side of the owner of each place; the street the words named goes before nearer ones."""
    found = index.index.nearest(place[:, 0], place[:, 1], second=False)
    row, side = found.row.copy(), found.side.astype(np.int64)
    wanted = np.array([-1 if s is None else s for s in streets], dtype=np.int64)
    safe = np.where(row >= 0, row, 0)
    other = (row >= 0) & (wanted >= 0) & (index.street_ids[safe] != wanted)
    if other.any():
        row[other], side[other] = index.on_street(
            place[other], wanted[other], row[other], side[other]
        )
    return row, side


def _near(
    chunk: pd.DataFrame, lon: str | None, lat: str | None, datum: str, epsg: int
) -> list[tuple[float, float] | None]:
    if lon is None or lat is None:
        return [None] * len(chunk)
    x, y = to_plane(*to_wgs84(_number(chunk[lon]), _number(chunk[lat]), datum), epsg)
    return [
        (float(a), float(b)) if np.isfinite(a) and np.isfinite(b) else None
        for a, b in zip(x, y, strict=True)
    ]


def _chunks(path: Path, needed: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    """Pieces of a csv (also .gz) or parquet file; NotFound, BadInput `import.field_missing`."""
    if not path.exists():
        raise NotFound("import.file_missing", field="file", path=str(path))
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(CHUNK):
                yield _checked(batch.to_pandas(), needed)
        return
    try:
        with pd.read_csv(path, dtype=str, chunksize=CHUNK, encoding="utf-8-sig") as reader:
            for chunk in reader:
                yield _checked(chunk, needed)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput("import.unreadable", field="file", path=path.name, why=str(error)) from error


def _checked(chunk: pd.DataFrame, needed: tuple[str, ...]) -> pd.DataFrame:
    for name in needed:
        if name not in chunk:
            known = ", ".join(map(str, chunk.columns))
            raise BadInput("import.field_missing", field=name, missing=name, known=known)
    return chunk


def _joined(chunk: pd.DataFrame, added: pd.DataFrame) -> pd.DataFrame:
    """Their columns with ours behind; a column of theirs with one of our names is kept as `<name>_in`."""
    clash = {name: f"{name}_in" for name in added.columns if name in chunk.columns}
    return pd.concat([chunk.rename(columns=clash), added], axis=1)


class _Writer:
    """Writes pieces beside the target and moves the file into place when all went well."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._fresh = target.with_name(f".{target.name}.new")
        self._parquet: pq.ParquetWriter | None = None
        self._header = True

    def __enter__(self) -> _Writer:
        if not self._target.resolve().parent.is_dir():
            raise BadInput("export.folder_missing", field="OUT", folder=str(self._target.parent))
        return self

    def write(self, frame: pd.DataFrame) -> None:
        if self._target.suffix == ".parquet":
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._fresh, table.schema)
            self._parquet.write_table(table.cast(self._parquet.schema))
        else:
            frame.to_csv(
                self._fresh, mode="w" if self._header else "a", header=self._header, index=False
            )
        self._header = False

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if kind is None and self._fresh.exists():
            self._fresh.replace(self._target)
        else:
            self._fresh.unlink(missing_ok=True)


def _number(column: pd.Series) -> Any:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)


def _code(value: object) -> str:
    """A category code as written; a spreadsheet may have eaten its leading zero."""
    written = str(value).strip().removesuffix(".0")
    return written.zfill(5) if written.isdigit() and len(written) == 4 else written


def _moments(column: pd.Series, zone: Any) -> Any:
    moments = pd.to_datetime(column, errors="coerce", format="mixed", utc=False)
    if moments.isna().any():
        first = int(np.flatnonzero(moments.isna().to_numpy())[0])
        raise BadInput(
            "import.time_unreadable", field=str(column.name), text=str(column.iloc[first])
        )
    aware = moments if moments.dt.tz is not None else moments.dt.tz_localize(zone)
    return aware.dt.tz_convert("UTC").dt.as_unit("us").astype("int64").to_numpy()


def _us(moment: datetime) -> int:
    return int((moment - EPOCH).total_seconds() * 1_000_000)
