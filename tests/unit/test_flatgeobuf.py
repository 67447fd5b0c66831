"""The spatial index of a FlatGeobuf: GDAL finds through it what lies in a box, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely

from maps.flatgeobuf import boxes_of, write_indexed


def shapes(kind: str, count: int) -> np.ndarray:
    """Shapes along a winding line through the square (110..111, 30..31), always the same ones."""
    random = np.random.default_rng(count)
    x, y = np.sort(110 + random.random(count)), 30 + random.random(count)
    if kind == "Point":
        return np.asarray(shapely.points(x, y))
    dx, dy = random.random(count) * 0.05, random.random(count) * 0.05
    if kind == "LineString":
        ends = np.stack([np.column_stack([x, y]), np.column_stack([x + dx, y - dy])], axis=1)
        return np.asarray(shapely.linestrings(ends))
    return np.asarray(shapely.box(x, y, x + dx, y + dy))


def write(kind: str, found: np.ndarray, file: Path, rows: int) -> None:
    number = np.arange(len(found))
    schema = pa.schema([("number", pa.int64()), ("name", pa.string()), ("geom", pa.binary())])
    batches = [
        pa.record_batch(
            [number[at : at + rows], ["责任田" * (n % 50) for n in number[at : at + rows]],
             shapely.to_wkb(found[at : at + rows])], schema=schema,
        )
        for at in range(0, len(found), rows)
    ]  # fmt: skip

    def by_gdal(given: pa.RecordBatchReader, target: Path, index: bool) -> None:
        pyogrio.write_arrow(
            given, str(target), driver="FlatGeobuf", layer="a", geometry_name="geom", geometry_type=kind,
            crs="EPSG:4326", layer_options={"SPATIAL_INDEX": "YES" if index else "NO"},
        )  # fmt: skip

    write_indexed(pa.RecordBatchReader.from_batches(schema, batches), file, by_gdal)


@pytest.mark.parametrize("kind", ["Point", "LineString", "Polygon"])
@pytest.mark.parametrize("count", [1, 2, 16, 17, 256, 257, 5000])
def test_what_lies_in_a_box_is_found(kind: str, count: int, tmp_path: Path) -> None:
    found, file = shapes(kind, count), tmp_path / "a.fgb"
    write(kind, found, file, 700)
    told = pyogrio.read_info(file, force_total_bounds=True)
    assert told["features"] == count
    assert told["total_bounds"] == pytest.approx(shapely.total_bounds(found), abs=1e-12)
    whole = pyogrio.read_dataframe(file)
    assert whole["number"].tolist() == list(range(count))
    assert whole["name"].tolist() == ["责任田" * (n % 50) for n in range(count)]
    assert shapely.equals_exact(whole.geometry.to_numpy(), found).all()
    for west, south, side in ((110.2, 30.3, 0.1), (110.7, 30.1, 0.02), (109, 29, 3), (112, 30, 1)):
        asked = shapely.box(west, south, west + side, south + side)
        inside = shapely.intersects(found, asked).nonzero()[0].tolist()
        got = pyogrio.read_dataframe(file, bbox=(west, south, west + side, south + side))
        assert sorted(got["number"]) == inside
    assert [left.name for left in tmp_path.iterdir()] == ["a.fgb"]


def test_a_row_without_a_place_is_kept_and_the_index_left_out(tmp_path: Path) -> None:
    found = np.asarray(shapes("Point", 900), dtype=object)
    for number in (3, 700):
        found[number] = None
        write("Point", found, tmp_path / "a.fgb", 100)
        _, _, read, values = pyogrio.raw.read(tmp_path / "a.fgb")
        assert values[0].tolist() == list(range(900))
        assert [i for i, shape in enumerate(shapely.from_wkb(read)) if shape is None] == [
            i for i, shape in enumerate(found) if shape is None
        ]
        found[number] = shapely.Point(110, 30)


def test_an_empty_layer_is_a_file_too(tmp_path: Path) -> None:
    write("Point", shapes("Point", 0), tmp_path / "a.fgb", 10)
    assert len(pyogrio.read_dataframe(tmp_path / "a.fgb")) == 0


def test_boxes_of_points_by_their_bytes_are_those_of_their_shapes() -> None:
    points = shapes("Point", 40)
    for order in (0, 1):
        column = pa.array(list(shapely.to_wkb(points, byte_order=order)), pa.binary())
        whole = pa.record_batch([column], names=["geom"])
        assert boxes_of(whole).tolist() == shapely.bounds(points).tolist()
        assert boxes_of(whole.slice(7, 5)).tolist() == shapely.bounds(points[7:12]).tolist()
