"""Tables of words: .csv, .tsv (also .gz) and .xlsx, every cell as trimmed text, columns by our names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grid.core.errors import BadInput, NotFound

ENCODINGS = ("utf-8-sig", "gb18030")


def read_table(
    path: Path, mapping: dict[str, str] | None = None, needed: tuple[str, ...] = ()
) -> pd.DataFrame:
    """All rows as text (missing cells are NA), columns in lower case, mapped ones under our names.

    Raises NotFound `import.file_missing`; BadInput `import.unreadable`, `import.field_missing`.
    """
    if not path.exists():
        raise NotFound("import.file_missing", field="file", path=str(path))
    table = _read(path)
    table.columns = pd.Index([str(column).strip() for column in table.columns])
    by_lower = {column.lower(): column for column in table.columns}
    renamed: dict[str, str] = {}
    for ours, theirs in (mapping or {}).items():
        column = by_lower.get(theirs.lower())
        if column is None:
            raise BadInput(
                "import.field_missing", field=ours, missing=theirs, known=", ".join(table.columns)
            )
        renamed[column] = ours
    # A column of theirs that bears our name gives way to the one that was mapped to it.
    table = table.drop(
        columns=[c for c in table.columns if c.lower() in renamed.values() and c not in renamed]
    )
    table = table.rename(columns=renamed).rename(columns=str.lower)
    for name in needed:
        if name not in table:
            raise BadInput(
                "import.field_missing", field=name, missing=name, known=", ".join(table.columns)
            )
    trimmed: pd.DataFrame = table.apply(lambda column: column.str.strip())
    return trimmed


def _read(path: Path) -> pd.DataFrame:
    ending = path.name.lower().removesuffix(".gz")
    try:
        if ending.endswith((".xlsx", ".xlsm")):
            return pd.read_excel(path, dtype=str)
        if ending.endswith((".csv", ".tsv", ".txt")):
            separator = "\t" if ending.endswith(".tsv") else ","
            return _read_text(path, separator)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise BadInput("import.unreadable", field="file", path=path.name, why=str(error)) from error
    raise BadInput("import.unreadable", field="file", path=path.name, why="csv, tsv, xlsx")


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Offices save Chinese tables in either of two encodings; the first that fits is taken."""
    for encoding in ENCODINGS:
        try:
            return pd.read_csv(path, dtype=str, sep=separator, encoding=encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("encoding")
