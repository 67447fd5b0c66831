"""A shapefile of points written by the batch is what GDAL reads: every value, every place, none where there is none."""

from __future__ import annotations

import math
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maps.point_shapes import as_text, write_parts

SCHEMA = pa.schema(
    [
        ("words", pa.string()), ("small", pa.int32()), ("large", pa.int64()), ("measure", pa.float64()),
        ("geom", pa.binary()),
    ]
)  # fmt: skip
# A .dbf ends a text at its last letter, and cannot tell an empty one from none.
WORDS = st.none() | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Z")), min_size=1, max_size=300
)
ROW = st.tuples(
    WORDS,
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(10**17), 10**17),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
)


def written(rows: list[Any], folder: Path, size: int) -> Path:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    shapes = [None if p is None else shapely.to_wkb(shapely.Point(p)) for p in columns[-1]]
    table = pa.Table.from_arrays(
        [
            pa.array(values, kind)
            for values, kind in zip([*columns[:-1], shapes], SCHEMA.types, strict=True)
        ],
        schema=SCHEMA,
    )
    file = folder / "p.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        reader = pa.RecordBatchReader.from_batches(SCHEMA, table.to_batches(size))
        write_parts(reader, folder, "p", packed)
        packed.writestr("p.cpg", "UTF-8")
    return file


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ROW, min_size=1, max_size=12), size=st.integers(1, 5))
def test_what_is_read_is_what_was_written(rows: list[Any], size: int, tmp_path: Path) -> None:
    _, _, shapes, values = pyogrio.raw.read(written(rows, tmp_path, size))
    places = shapely.from_wkb(shapes)
    for number, (words, small, large, measure, place) in enumerate(rows):
        if words is None:
            assert values[0][number] is None
        else:
            kept = words.encode()[:254].decode(errors="ignore")
            assert values[0][number] == kept
        for given_, found in ((small, values[1][number]), (large, values[2][number])):
            assert np.isnan(found) if given_ is None else found == given_
        if measure is None:
            assert np.isnan(values[3][number])
        else:
            assert math.isclose(values[3][number], measure, rel_tol=1e-15)
        if place is None:
            assert places[number] is None
        else:
            assert (places[number].x, places[number].y) == place


def test_an_empty_layer_is_a_file_too(tmp_path: Path) -> None:
    meta, _, shapes, _ = pyogrio.raw.read(written([], tmp_path, 1))
    assert len(shapes) == 0
    assert list(meta["fields"]) == ["words", "small", "large", "measure"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9, "0.9"), (40.0, "40"), (-12.5, "-12.5"), (1e-7, "0.0000001"), (1e20, "100000000000000000000"),
        (-1.2345678901234568e-300, "-1.2345678901234568e-300"), (math.nan, ""), (math.inf, ""), (None, ""),
    ],
)  # fmt: skip
def test_numbers_as_every_reader_understands_them(value: float | None, text: str) -> None:
    assert as_text(pa.array([value], pa.float64()))[0].as_py().decode() == text


def test_a_text_is_cut_between_two_characters() -> None:
    assert as_text(pa.array(["网" * 300]))[0].as_py().decode() == "网" * 84


def test_points_are_written_without_gdal() -> None:
    # In a process of its own: another test may have loaded it.
    asked = "import sys, maps.export_shapefile; sys.exit('pyogrio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
