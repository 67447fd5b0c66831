"""Drawing lines into vector tiles: clipped at the edge, simplified on small scales, with their words; read back by GDAL."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.tile_columns import BLOCK, Changes, LineColumns
from maps.line_tiles import draw_lines, rows_of
from maps.tiles import BUFFER, EXTENT, Tile

TILE = Tile(14, 13402, 6718)
Points = list[tuple[float, float]]


def columns(
    lines: list[Points], wording: list[tuple[str | None, ...]], tile: Tile = TILE
) -> LineColumns:
    """Lines given in a tile's units, y down, each with (street, class, grid_left, grid_right)."""
    west, _, east, north = tile.square()
    unit_m = (east - west) / EXTENT
    coords = np.array([(west + x * unit_m, north - y * unit_m) for line in lines for x, y in line])
    starts = np.concatenate([[0], np.cumsum([len(line) for line in lines])])
    boxes = np.array(
        [[*part.min(axis=0), *part.max(axis=0)] for part in np.split(coords, starts[1:-1])]
    )
    firsts = range(0, len(lines), BLOCK)
    blocks = [[*boxes[n : n + BLOCK, :2].min(axis=0), *boxes[n : n + BLOCK, 2:].max(axis=0)] for n in firsts]  # fmt: skip
    words = tuple(dict.fromkeys(word for row in wording for word in row if word is not None))
    numbers = [[-1 if word is None else words.index(word) for word in row] for row in wording]
    none = Changes(0, np.empty(0, np.int64), np.empty((0, 4)))
    return LineColumns(
        1, none, words, np.arange(1, len(lines) + 1), np.array(numbers, np.int32), coords, starts, boxes, np.array(blocks)
    )  # fmt: skip


def drawn(folder: Path, lines: LineColumns, layer: str = "segments", tile: Tile = TILE) -> gpd.GeoDataFrame:  # fmt: skip
    """The tile as GDAL reads it, in the tile's units, y down."""
    body = draw_lines(lines, layer, tile, rows_of(lines, tile))
    if not body:
        return gpd.GeoDataFrame({"geometry": []})
    file = folder / str(tile.z) / str(tile.x) / f"{tile.y}.pbf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    frame = gpd.read_file(f"MVT:{file}", CLIP="NO")
    west, _, east, north = tile.square()
    per_m = EXTENT / (east - west)
    frame.geometry = gpd.GeoSeries(
        shapely.transform(frame.geometry.values, lambda c: (c - [west, north]) * [per_m, -per_m])
    )
    return frame


PLAIN = ("路", "residential", "A", "B")


def test_a_line_that_leaves_and_comes_back_is_drawn_in_parts(tmp_path: Path) -> None:
    line = [(100.0, 10.0), (100.0, -300.0), (500.0, -300.0), (500.0, 20.0)]
    frame = drawn(tmp_path, columns([line], [PLAIN]))
    parts = list(frame.geometry[0].geoms)
    assert [np.rint(shapely.get_coordinates(part)).tolist() for part in parts] == [
        [[100, 10], [100, -BUFFER]],
        [[500, -BUFFER], [500, 20]],
    ]


def test_a_line_outside_or_smaller_than_a_unit_is_no_feature(tmp_path: Path) -> None:
    outside = [(-120.0, -20.0), (-20.0, -120.0)]  # its box meets the buffer, the line does not
    tiny = [(50.1, 50.1), (50.3, 50.2), (50.4, 50.4)]
    assert len(drawn(tmp_path, columns([outside, tiny], [PLAIN, PLAIN]))) == 0
    both = drawn(tmp_path, columns([outside, [(1.0, 1.0), (9.0, 9.0)], tiny], [PLAIN] * 3))
    assert both["mvt_id"].tolist() == [2]


def test_words_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    line = [(10.0, 10.0), (90.0, 90.0)]
    frame = drawn(tmp_path, columns([line, line], [(None, "trunk", None, "B"), ("路", "trunk", "B", None)]))  # fmt: skip
    frame = frame.set_index("mvt_id").sort_index()
    assert frame["class"].tolist() == ["trunk", "trunk"]
    assert frame["street"].fillna("").tolist() == ["", "路"]
    assert frame["grid_left"].fillna("").tolist() == ["", "B"]
    assert frame["grid_right"].fillna("").tolist() == ["B", ""]


def test_small_scales_lose_small_bends_and_small_streets(tmp_path: Path) -> None:
    bent = [(10.0, 10.0), (500.0, 13.0), (1000.0, 10.0), (1500.0, 30.0), (2000.0, 10.0)]
    for z, bends in ((12, [(10, 10), (1000, 10), (1500, 30), (2000, 10)]), (13, bent)):
        tile = Tile(z, TILE.x >> (14 - z), TILE.y >> (14 - z))
        frame = drawn(tmp_path, columns([bent], [PLAIN], tile), tile=tile)
        assert np.rint(shapely.get_coordinates(frame.geometry[0])).tolist() == [list(one) for one in bends]  # fmt: skip
    kinds = ("primary", "tertiary", "residential")
    for z, shown in ((9, 1), (10, 2), (11, 2), (12, 3)):
        tile = Tile(z, TILE.x >> (14 - z), TILE.y >> (14 - z))
        lines = columns([bent] * 3, [("路", kind, "A", "B") for kind in kinds], tile)
        assert sorted(drawn(tmp_path, lines, tile=tile)["class"]) == sorted(kinds[:shown])


def test_a_grid_is_one_feature_of_all_its_lines(tmp_path: Path) -> None:
    lines = [[(10.0 * n, 10.0), (10.0 * n, 90.0)] for n in range(1, 5)]
    wording = [("路", "trunk", *sides) for sides in (("B", "B"), ("B", "A"), (None, "A"), (None, None))]  # fmt: skip
    frame = drawn(tmp_path, columns(lines, wording), "grids").set_index("code")
    assert list(frame.index) == ["A", "B"]
    found = {code: shapely.get_coordinates(shape)[:, 0].round().tolist() for code, shape in frame.geometry.items()}  # fmt: skip
    assert found == {"A": [20, 20, 30, 30], "B": [10, 10, 20, 20]}
    assert "mvt_id" not in frame or frame["mvt_id"].isna().all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-5000, 9000), st.floats(-5000, 9000)), min_size=2, max_size=12, unique=True
    )
)  # fmt: skip
def test_what_is_inside_is_drawn_to_the_unit(
    tmp_path_factory: pytest.TempPathFactory, line: Points
) -> None:
    frame = drawn(tmp_path_factory.mktemp("tile"), columns([line], [PLAIN]))
    square = (-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    wanted = shapely.clip_by_rect(shapely.LineString(line), *square)
    found = shapely.union_all(frame.geometry.values) if len(frame) else shapely.LineString()
    # Each point is rounded to whole units, half a unit away at most in each direction.
    assert shapely.difference(wanted, shapely.buffer(found, 0.75)).length < 3
    assert shapely.difference(found, shapely.buffer(wanted, 0.75)).length < 1e-6


def test_changes_are_told_by_place_and_number() -> None:
    changes = Changes(
        5, np.array([6, 8]), np.array([[0.0, 0.0, 1.0, 1.0], [10.0, 10.0, 11.0, 11.0]])
    )
    near, far = (0.5, 0.5, 2.0, 2.0), (10.0, 0.0, 12.0, 10.0)
    assert [changes.within(near, after) for after in (4, 5, 6, 8)] == [True, True, False, False]
    assert [changes.within(far, after) for after in (5, 6, 7, 8)] == [True, True, True, False]
    assert not changes.within((20.0, 20.0, 30.0, 30.0), 5)
