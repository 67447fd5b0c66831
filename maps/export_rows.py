"""Rows of a layer as a stream of Arrow batches: from PostgreSQL's binary COPY, never more than a few in memory.

The driver is asked directly, without its DB-API layer, which would load pandas for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import numpy as np
import pyarrow as pa
import shapely
from psycopg import sql

from grid.core.errors import BadInput, Conflict, Trouble, Unavailable
from maps.export_crs import Target
from maps.export_filters import Reading

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


class Rows:
    """One connection that reads layers as of one moment, in one snapshot."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @contextmanager
    def read(self, asked: Reading) -> Iterator[pa.RecordBatchReader]:
        """The batches of a query. Raises BadInput `export.where_unfit`, Unavailable `export.read_failed`."""
        statement = adbc_driver_manager.AdbcStatement(self._connection)
        try:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            statement.set_sql_query(asked.query.as_string(None))
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
    connection = None
    try:
        with readable():
            connection = adbc_driver_manager.AdbcConnection(database)
            for statement in _begin(at):
                _run(connection, statement)
        yield Rows(connection)
    finally:
        if connection is not None:
            connection.close()
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
    moment = sql.SQL("select set_config('gridward.at', {}, false)").format(sql.Literal(at or ""))
    return [
        "set statement_timeout = 0",
        "set timezone = 'UTC'",
        "set search_path = public",
        "set jit = off",
        moment.as_string(None),
        "begin isolation level repeatable read read only",
    ]


def _run(connection: Any, statement: str) -> None:
    step = adbc_driver_manager.AdbcStatement(connection)
    try:
        step.set_sql_query(statement)
        step.execute_update()
    finally:
        step.close()


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
