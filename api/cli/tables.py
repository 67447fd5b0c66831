"""Long tables read and written in pieces: csv (also .gz) and parquet, in bounded memory, never a half file."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from grid.core.errors import BadInput, NotFound

# Offices save Chinese tables in either of two encodings; the first that fits the whole file's beginning is taken.
ENCODINGS = ("utf-8-sig", "gb18030")
LOOKED_AT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a table, and the share of the file read with them, 0 to 1."""

    table: pa.Table
    share: float


def pieces(path: Path, needed: tuple[str, ...], rows: int) -> Iterator[Piece]:
    """A file in pieces of so many rows, at least one (csv cells as text, empty ones null).

    Raises NotFound `import.file_missing`; BadInput `import.unreadable`, `import.field_missing`.
    """
    if not path.is_file():
        raise NotFound("import.file_missing", field="file", path=str(path))
    read = _of_parquet if path.suffix == ".parquet" else _of_csv
    try:
        for piece in read(path, rows):
            _check(piece.table, needed)
            yield piece
    except (
        pa.ArrowException,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        UnicodeDecodeError,
        gzip.BadGzipFile,
        EOFError,
    ) as error:
        raise BadInput("import.unreadable", field="file", path=path.name, why=str(error)) from error


def _of_parquet(path: Path, rows: int) -> Iterator[Piece]:
    with pq.ParquetFile(path) as file:
        total, seen = file.metadata.num_rows, 0
        for batch in file.iter_batches(rows):
            seen += batch.num_rows
            yield Piece(pa.Table.from_batches([batch]), seen / total)
        if not seen:
            yield Piece(file.schema_arrow.empty_table(), 1.0)


def _of_csv(path: Path, rows: int) -> Iterator[Piece]:
    size = max(path.stat().st_size, 1)
    packed = path.suffix == ".gz"
    encoding = _encoding(path, packed)
    with path.open("rb") as raw:
        reader = pd.read_csv(
            raw,
            dtype=str,
            chunksize=rows,
            encoding=encoding,
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            compression="gzip" if packed else None,
        )
        for chunk in reader:
            columns = {str(name): pa.array(chunk[name], type=pa.string()) for name in chunk.columns}
            yield Piece(pa.table(columns), min(raw.tell() / size, 1.0))


def _encoding(path: Path, packed: bool) -> str:
    opened: Any = gzip.open if packed else open
    with opened(path, "rb") as file:
        begin = file.read(LOOKED_AT_BYTES)
    for encoding in ENCODINGS:
        try:
            # A letter cut in two at the very end is no sign of another encoding.
            io.TextIOWrapper(io.BytesIO(begin[:-4] if len(begin) > 4 else begin), encoding).read()
        except UnicodeDecodeError as error:
            if len(begin) == LOOKED_AT_BYTES and error.start >= len(begin) - 8:
                return encoding
            continue
        return encoding
    return ENCODINGS[0]


def _check(table: pa.Table, needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in table.column_names:
            known = ", ".join(table.column_names)
            raise BadInput("import.field_missing", field=name, missing=name, known=known)


def joined(table: pa.Table, added: pa.Table) -> pa.Table:
    """Their columns with ours behind; a column of theirs with one of our names is kept as `<name>_in`."""
    taken = set(added.column_names) | set(table.column_names)
    names = []
    for name in table.column_names:
        fresh = name
        while fresh in added.column_names or (fresh != name and fresh in taken):
            fresh += "_in"
        names.append(fresh)
    arrays = [*table.columns, *added.columns]
    return pa.Table.from_arrays(arrays, names=[*names, *added.column_names])


def texts(table: pa.Table, name: str) -> list[str | None]:
    """A column's cells as text, None for an empty one."""
    cells: list[str | None] = _text(table[name]).to_pylist()
    return cells


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column's cells as numbers, NaN for what is none."""
    column = pd.to_numeric(table[name].to_pandas(), errors="coerce")
    return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan), copy=True)


class Printer:
    """Turns tables into the bytes of a file with this ending; made once and sent to whoever prints."""

    def __init__(self, target: Path) -> None:
        self.packed = target.suffix == ".gz"
        self.as_parquet = target.suffix == ".parquet"

    def printed(self, table: pa.Table) -> pa.Table | bytes:
        """The rows as csv without a header; a table as it is for parquet."""
        if self.as_parquet:
            return table
        return self._packed(csv_bytes(table))

    def header(self, table: pa.Table) -> bytes:
        """The line of names."""
        frame = pd.DataFrame(columns=table.column_names)
        return self._packed(frame.to_csv(index=False, lineterminator="\n").encode())

    def _packed(self, data: bytes) -> bytes:
        # Packed pieces one after the other are a packed file.
        return gzip.compress(data, 6, mtime=0) if self.packed else data


def csv_bytes(table: pa.Table) -> bytes:
    """Rows as csv in UTF-8; a cell is quoted only where it must be, an empty one is nothing."""
    cells = pa.table({str(k): _text(column) for k, column in enumerate(table.columns)})
    if len(cells.columns) > 1:
        out = io.BytesIO()
        try:
            pacsv.write_csv(
                cells, out, pacsv.WriteOptions(include_header=False, quoting_style="none")
            )
            return out.getvalue()
        except pa.ArrowInvalid:
            pass  # some cell holds a comma, a quote or a line's end
    written: str = cells.to_pandas().to_csv(index=False, header=False, lineterminator="\n")
    return written.encode()


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowException:
        plain = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(plain, type=pa.string())])


class Writer:
    """Writes pieces beside the target and moves the file into place when all went well."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
        self._parquet: pq.ParquetWriter | None = None
        self._file: IO[bytes] | None = None
        self.printer = Printer(target)

    def __enter__(self) -> Writer:
        """Raises BadInput `export.folder_missing`."""
        if not self._target.resolve().parent.is_dir():
            raise BadInput("export.folder_missing", field="OUT", folder=str(self._target.parent))
        return self

    def write(self, printed: pa.Table | bytes, like: pa.Table) -> None:
        """Adds what the printer made; `like` has the columns of the file."""
        if self.printer.as_parquet:
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._fresh, like.schema)
            self._parquet.write_table(printed)
            return
        if self._file is None:
            self._file = self._fresh.open("wb")
            self._file.write(self.printer.header(like))
        self._file.write(printed)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        for opened in (self._parquet, self._file):
            if opened is not None:
                opened.close()
        if kind is None and self._fresh.exists():
            self._fresh.replace(self._target)
        else:
            self._fresh.unlink(missing_ok=True)
