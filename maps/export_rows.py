"""Rows of a layer as a stream of Arrow batches: from PostgreSQL's binary COPY, never more than a few in memory.

The driver is asked directly, without its DB-API layer, which would load pandas for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import numpy as np
import orjson
import pyarrow as pa
import shapely
from psycopg import sql

from grid.core.errors import BadInput, Conflict, Trouble, Unavailable
from maps.export_crs import Target
from maps.export_filters import Reading, Wanted, reading
from maps.export_formats import Format
from maps.export_parts import LEAST_ROWS, Range, in_parts, ranges
from maps.layers import Layer

BATCH_BYTES = 1_000_000
# SQLSTATE classes of a statement that does not fit its data: the filter's fault, not the database's.
_FILTER_FAULTS = ("22", "42")


@dataclass(slots=True)
class Watch:
    """What is told while rows flow, and asked between batches: whether to go on."""

    cancelled: Callable[[], bool] = lambda: False
    progress: Callable[[str, int], None] = lambda _layer, _rows: None
    layer: str = ""
    rows: int = 0
    failure: BaseException | None = field(default=None, repr=False)

    def count(self, rows: int) -> None:
        """Adds rows. Raises Conflict `export.cancelled`."""
        if self.cancelled():
            raise Conflict("export.cancelled")
        self.rows += rows
        self.progress(self.layer, self.rows)


@dataclass(frozen=True, slots=True)
class Flow:
    """Batches of one schema, few of them in memory at a time."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Rows:
    """Connections that read layers as of one moment, in one snapshot: one, and a second for a large layer."""

    def __init__(self, database: Any, connection: Any) -> None:
        self._database = database
        self._connections = [connection]

    @contextmanager
    def read(self, layer: Layer, wanted: Wanted, format_: Format) -> Iterator[Flow]:
        """The batches of a layer. Raises what `reading` raises, BadInput `export.where_unfit`, Unavailable `export.read_failed`."""
        asked = reading(layer, wanted, plain=format_.plain)
        parts: list[Range] = []
        if format_.by_place:
            # PostGIS orders geometries along the Hilbert curve.
            asked = replace(asked, query=asked.query + sql.SQL(" order by i.geom"))
        elif layer.large and format_.quick:
            with readable():
                parts = self._parts(layer, asked)
        if not parts:
            with self._batches(0, asked.query) as reader, ahead(reader) as coming:
                yield Flow(reader.schema, coming)
            return
        with readable():
            self._doubled()
        queries = [reading(layer, wanted, plain=format_.plain, ids=ids).query for ids in parts]
        readers = [
            lambda part, number=number: self._batches(number, queries[part])
            for number in range(len(self._connections))
        ]
        with self._batches(0, asked.query + sql.SQL(" limit 0")) as reader:
            schema = reader.schema
        with in_parts(readers, len(parts)) as coming:
            yield Flow(schema, coming)

    def close(self) -> None:
        """Ends the connections."""
        while self._connections:
            self._connections.pop().close()

    def _parts(self, layer: Layer, asked: Reading) -> list[Range]:
        """Ranges of ids of a large layer of which most is asked for; none where another way to the rows may be better."""
        every = sql.SQL("select i.id from {} i").format(sql.Identifier("gis", layer.name))
        rows = self._expected(asked.query)
        if rows < max(LEAST_ROWS, self._expected(every) / 2):
            return []
        # Not min and max: of a view with joins they read every row.
        ends = sql.SQL(
            "select ({0} order by i.id limit 1) as one, ({0} order by i.id desc limit 1) as other"
        ).format(every)
        ((first, last),) = self._told(ends.as_string(None))
        return [] if first is None else ranges(first, last, rows)

    def _expected(self, query: sql.Composable) -> float:
        """How many rows PostgreSQL expects."""
        ((plan,),) = self._told(f"explain (format json) {query.as_string(None)}")
        return float(orjson.loads(plan)[0]["Plan"]["Plan Rows"])

    def _doubled(self) -> None:
        """Opens the second connection: the first one's snapshot, and its moment. Where a server gives no more, the first reads all."""
        if len(self._connections) > 1:
            return
        told = "select pg_export_snapshot(), coalesce(nullif(current_setting('gridward.at', true), ''), now()::text)"
        ((snapshot, moment),) = self._told(told)
        _run(self._connections[0], _moment(moment))
        try:
            second = adbc_driver_manager.AdbcConnection(self._database)
        except adbc_driver_manager.Error:
            return
        self._connections.append(second)
        shared = sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot))
        for statement in (*_begin(moment), shared.as_string(None)):
            _run(second, statement)

    def _told(self, question: str) -> list[tuple[Any, ...]]:
        with _stream(
            self._connections[0], question, **{"adbc.postgresql.use_copy": "false"}
        ) as reader:
            return [tuple(row.values()) for row in reader.read_all().to_pylist()]

    @contextmanager
    def _batches(self, number: int, query: sql.Composable) -> Iterator[pa.RecordBatchReader]:
        size = {"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
        with _stream(self._connections[number], query.as_string(None), **size) as reader:
            yield reader


@contextmanager
def _stream(connection: Any, query: str, **options: str) -> Iterator[pa.RecordBatchReader]:
    statement = adbc_driver_manager.AdbcStatement(connection)
    try:
        statement.set_options(**options)
        statement.set_sql_query(query)
        with readable():
            stream, _ = statement.execute_query()
        reader = pa.RecordBatchReader.from_stream(stream)
        try:
            yield reader
        finally:
            reader.close()
    finally:
        statement.close()


@contextmanager
def readable() -> Iterator[None]:
    """Turns what the database refuses into troubles."""
    try:
        yield
    except Trouble:
        raise
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        state = str(getattr(error, "sqlstate", None) or "")
        problem = str(error).partition("ERROR:")[2] or str(error)
        problem = problem.strip().splitlines()[0][:300] if problem.strip() else type(error).__name__
        if state[:2] in _FILTER_FAULTS or (not state and "ERROR:" in str(error)):
            raise BadInput("export.where_unfit", field="where", problem=problem) from error
        raise Unavailable("export.read_failed", problem=problem) from error


@contextmanager
def opened_rows(url: str, at: str | None = None) -> Iterator[Rows]:
    """A connection for reading: one snapshot, read only, without a limit of time. `at`: the layers' moment, ISO."""
    with readable():
        database = adbc_driver_postgresql.connect(_plain(url))
    rows = None
    try:
        with readable():
            connection = adbc_driver_manager.AdbcConnection(database)
            rows = Rows(database, connection)
            for statement in _begin(at):
                _run(connection, statement)
        yield rows
    finally:
        if rows is not None:
            rows.close()
        database.close()


@contextmanager
def ahead(reader: pa.RecordBatchReader) -> Iterator[Iterator[pa.RecordBatch]]:
    """The batches, each read while the one before is written; whatever happens, nobody reads any more at the end."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="export-reading")

    def flow() -> Iterator[pa.RecordBatch]:
        coming = pool.submit(next, reader, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, reader, None)
            yield batch

    try:
        yield flow()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def moved(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    target: Target,
    watch: Watch,
    column: str = "geom",
) -> pa.RecordBatchReader:
    """The same batches with their WKB `column` brought to another system; counted as they pass.

    A failure inside the stream reaches a C reader as a bare message: the true one is kept in `watch.failure`.
    """

    def flow() -> Iterator[pa.RecordBatch]:
        try:
            with readable():
                for batch in batches:
                    watch.count(batch.num_rows)
                    yield _in_system(batch, target, column)
        except GeneratorExit:
            raise
        except BaseException as error:
            watch.failure = error
            raise

    return pa.RecordBatchReader.from_batches(schema, flow())


def shapes_of(batch: pa.RecordBatch, column: str = "geom") -> Any:
    """The geometries of a batch as shapely's, None for none."""
    return shapely.from_wkb(batch.column(column).to_numpy(zero_copy_only=False))


def _in_system(batch: pa.RecordBatch, target: Target, column: str) -> pa.RecordBatch:
    if target.datum is None:
        return batch
    place = batch.schema.get_field_index(column)
    changed = target.of_wgs84(np.asarray(shapes_of(batch, column), dtype=object))
    field_ = batch.schema.field(place)
    return batch.set_column(place, field_, pa.array(shapely.to_wkb(changed), type=field_.type))


def _begin(at: str | None) -> list[str]:
    return [
        "set statement_timeout = 0",
        "set timezone = 'UTC'",
        "set search_path = public",
        "set jit = off",
        _moment(at or ""),
        "begin isolation level repeatable read read only",
    ]


def _moment(at: str) -> str:
    moment = sql.SQL("select set_config('gridward.at', {}, false)").format(sql.Literal(at))
    return moment.as_string(None)


def _run(connection: Any, statement: str) -> None:
    step = adbc_driver_manager.AdbcStatement(connection)
    try:
        step.set_sql_query(statement)
        step.execute_update()
    finally:
        step.close()


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
