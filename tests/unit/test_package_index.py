"""The packed index of a GeoPackage: whole by SQLite's own check, and GDAL finds by it what lies in a box."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely

from maps import package_index
from maps.export_crs import target_crs
from maps.export_formats import Job
from maps.export_gdal import write_geopackage
from maps.layers import LAYERS

BOX = (114.52, 33.53, 114.61, 33.58)


def shapes(layer: str, count: int, holes: bool) -> np.ndarray:
    """Points or short lines; with `holes` only every hundredth is there."""
    random = np.random.default_rng(count)
    places = np.column_stack(
        [random.uniform(114.4, 114.7, count), random.uniform(33.4, 33.7, count)]
    )
    if layer == "places":
        found = np.asarray(shapely.points(places), dtype=object)
    else:
        found = np.asarray(
            shapely.linestrings(np.stack([places, places + 0.003], axis=1)), dtype=object
        )
    found[np.arange(count) % 100 != 7 if holes else np.zeros(count, bool)] = None
    return found


def written(layer: str, found: np.ndarray, file: Path) -> None:
    schema = pa.schema([("number", pa.int64()), ("geom", pa.binary())])
    table = pa.table([pa.array(range(len(found))), shapely.to_wkb(found)], schema=schema)
    rows = pa.RecordBatchReader.from_batches(schema, table.to_batches(300))
    write_geopackage(Job(LAYERS[layer], rows, file, target_crs(None), False, ZoneInfo("UTC")))


def check(file: Path, layer: str) -> str:
    package = sqlite3.connect(file)
    said = package.execute("select rtreecheck(?)", (f"rtree_{layer}_geom",)).fetchone()[0]
    held = package.execute(f"select count(*) from rtree_{layer}_geom").fetchone()[0]
    package.close()
    return f"{said} {held}"


@pytest.mark.parametrize("layer", ["places", "segments"])
@pytest.mark.parametrize(
    ("count", "holes"),
    [(0, False), (1, False), (51, False), (52, False), (400, True), (3000, False), (9000, True)],
)
def test_what_lies_in_a_box_is_found(
    layer: str, count: int, holes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "CHUNK_ROWS", 700)
    file, found = tmp_path / "a.gpkg", shapes(layer, count, holes)
    written(layer, found, file)
    there = np.array([shape is not None for shape in found], dtype=bool)
    assert check(file, layer) == f"ok {there.sum()}"
    bounds = shapely.bounds(found) if count else np.empty((0, 4))
    inside = np.flatnonzero(
        (bounds[:, 0] <= BOX[2]) & (bounds[:, 2] >= BOX[0]) & (bounds[:, 1] <= BOX[3]) & (bounds[:, 3] >= BOX[1])
    )  # fmt: skip
    meta, _, _, values = pyogrio.raw.read(file, layer=layer, bbox=BOX)
    assert meta["geometry_type"] == LAYERS[layer].geometry
    assert sorted(values[0].tolist()) == inside.tolist()
    assert [left.name for left in tmp_path.iterdir()] == ["a.gpkg"]


def test_what_is_added_by_gdal_of_the_system_is_found_too(tmp_path: Path) -> None:
    file, more = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    written("places", shapes("places", 600, False), file)
    written("segments", shapes("segments", 600, False), file)
    written("places", shapes("places", 80, False), more)
    add = ["ogr2ogr", "-append", "-f", "GPKG", str(file), str(more), "places"]
    subprocess.run(add, check=True, capture_output=True)
    assert check(file, "places") == "ok 680"
    assert check(file, "segments") == "ok 600"


def test_without_trees_in_python_gdal_makes_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maps.export_gdal.is_known", lambda: False)
    written("places", shapes("places", 300, False), tmp_path / "a.gpkg")
    assert check(tmp_path / "a.gpkg", "places") == "ok 300"
