"""Columns of foreign files found by name, and their cells read as text, numbers and words of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from grid.core.errors import BadInput
from grid.sources.base import STREET_CLASSES, Refused

OSM_CLASSES = {
    "motorway": "trunk",
    "trunk": "trunk",
    "primary": "primary",
    "secondary": "secondary",
    "tertiary": "tertiary",
    "unclassified": "residential",
    "residential": "residential",
    "living_street": "residential",
    "road": "residential",
    "service": "service",
    "busway": "service",
    "pedestrian": "pedestrian",
    "footway": "path",
    "path": "path",
    "steps": "path",
    "cycleway": "path",
    "bridleway": "path",
    "track": "path",
}
"""The OSM highway values kept, each with our class. Their `_link` values are kept with form "ramp"."""

_CLASS_WORDS = {
    **{value: value for value in STREET_CLASSES},
    **OSM_CLASSES,
    "快速路": "trunk",
    "主干道": "primary",
    "主干路": "primary",
    "次干道": "secondary",
    "次干路": "secondary",
    "支路": "tertiary",
    "背街小巷": "residential",
}
_FORWARD = {"forward", "yes", "true", "t", "1", "1.0", "ft", "f->t", "单行", "单向"}
_BACKWARD = {"backward", "-1", "-1.0", "reverse", "tf", "t->f"}
_BOTH = {"no", "false", "f", "0", "0.0", "n", "both", "b", "双行", "双向", ""}
_NAME_IN = re.compile(r"^name[_:]([a-z]{2,3}(?:[_-][a-z0-9]+)?)$", re.IGNORECASE)
LARGEST_NUMBER = 99_999


class Columns:
    """The columns of a raw frame under our field names.

    mapping: our field -> their column, matched without regard to case; "=word" as their column gives
    every row that word. Raises BadInput `import.field_missing` (field, known) for a mapped column
    that is not there, and from `needed`.
    """

    def __init__(self, frame: pd.DataFrame, mapping: dict[str, str] | None) -> None:
        self.frame = frame
        self.known = [str(name) for name in frame.columns if name != "geometry"]
        self._by_lower: dict[str, str] = {}
        for name in self.known:
            self._by_lower.setdefault(name.strip().lower(), name)
        self._mapping = {ours.strip().lower(): theirs for ours, theirs in (mapping or {}).items()}

    def find(self, field: str) -> pd.Series[Any] | None:
        """The cells of a field, or None where the file has no such column."""
        theirs = self._mapping.get(field, self._mapping.get(field.rstrip("_")))
        if theirs is not None and theirs.startswith("="):
            return pd.Series(theirs[1:], index=self.frame.index, dtype="object")
        column = self._by_lower.get((theirs or field.rstrip("_")).strip().lower())
        if column is None and theirs is not None:
            raise BadInput("import.field_missing", field=theirs, known=self.known)
        return None if column is None else self.frame[column]

    def needed(self, field: str) -> pd.Series[Any]:
        """The cells of a field the import cannot do without."""
        cells = self.find(field)
        if cells is None:
            raise BadInput("import.field_missing", field=field, known=self.known)
        return cells

    def text(self, field: str, needed: bool = False) -> pd.Series[Any]:
        """A field as stripped text, None where blank or absent; 12.0 reads "12"."""
        cells = self.needed(field) if needed else self.find(field)
        if cells is None:
            return pd.Series([None] * len(self.frame), index=self.frame.index, dtype="object")
        return pd.Series([_plain(cell) for cell in cells], index=cells.index, dtype="object")

    def names(self) -> list[dict[str, str]]:
        """Per row the names in other languages, from name_en, name:zh … and mapped name_xx."""
        found: dict[str, pd.Series[Any]] = {}
        for field in dict.fromkeys([*self._mapping, *(name.lower() for name in self.known)]):
            language = _NAME_IN.match(field)
            if language:
                found[language.group(1)] = self.text(field)
        rows: list[dict[str, str]] = [{} for _ in range(len(self.frame))]
        for language_code, cells in found.items():
            for row, cell in zip(rows, cells, strict=True):
                if cell is not None:
                    row[language_code] = cell
        return rows


def house_range(columns: Columns, field: str, refused: list[Refused]) -> pd.arrays.IntegerArray:
    """One end of the house-number ranges: 0, -1 or blank is none; an unreadable number is blanked and reported."""
    cells = columns.text(field)
    values: list[Any] = []
    for row, cell in cells.items():
        number = _whole(cell)
        if cell is not None and (number is None or not -1 <= number <= LARGEST_NUMBER):
            report = {"field": field, "value": cell}
            refused.append(Refused(_row(row), "import.number_unreadable", report, kept=True))
            number = None
        values.append(number if number and number > 0 else pd.NA)
    return pd.array(values, dtype="Int64")


def levels(columns: Columns, refused: list[Refused]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The level of each row: a whole number from -20 to 20, 0 where blank; nonsense is 0 and reported."""
    values = []
    for row, cell in columns.text("level").items():
        number = 0 if cell is None else _whole(cell)
        if number is None or abs(number) > 20:
            report = {"field": "level", "value": cell}
            refused.append(Refused(_row(row), "import.number_unreadable", report, kept=True))
            number = 0
        values.append(number)
    return np.array(values, dtype=np.int64)


def street_classes(columns: Columns, refused: list[Refused]) -> list[str]:
    """Our class of each row from our words, OSM's or the Chinese ones; unknown is residential, reported."""
    return _words(columns.text("class_"), _CLASS_WORDS, "residential", "class", refused)


def oneways(columns: Columns, refused: list[Refused]) -> list[str]:
    """no, forward or backward of each row; an unknown word is "no", reported."""
    words = dict.fromkeys(_BOTH, "no")
    words |= dict.fromkeys(_FORWARD, "forward") | dict.fromkeys(_BACKWARD, "backward")
    return _words(columns.text("oneway"), words, "no", "oneway", refused)


def chosen(
    columns: Columns, field: str, allowed: Iterable[str], default: str, refused: list[Refused]
) -> list[str]:
    """A field with a closed list of words; others take the default and are reported."""
    return _words(columns.text(field), {word: word for word in allowed}, default, field, refused)


def _words(
    cells: pd.Series[Any], words: dict[str, str], default: str, field: str, refused: list[Refused]
) -> list[str]:
    values = []
    for row, cell in cells.items():
        value = default if cell is None else words.get(cell.lower())
        if value is None:
            report: dict[str, object] = {"field": field, "value": cell, "used": default}
            refused.append(Refused(_row(row), "import.value_unknown", report, kept=True))
            value = default
        values.append(value)
    return values


def _row(label: object) -> int:
    return int(str(label))


def _whole(cell: str | None) -> int | None:
    try:
        number = float(cell) if cell is not None else None
    except ValueError:
        return None
    return int(number) if number is not None and number.is_integer() else None


def _plain(cell: object) -> str | None:
    if cell is None or cell is pd.NA or (isinstance(cell, float) and not np.isfinite(cell)):
        return None
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return " ".join(str(cell).split()) or None
