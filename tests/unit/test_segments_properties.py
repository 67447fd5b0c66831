"""Whatever is drawn: cutting keeps the length, leaves no crossing inside a segment, and repeats itself."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.core.crs import GEOD
from grid.house_numbers import divide_range
from grid.segments import cut
from grid.sources.base import RANGE_COLUMNS

spot = st.tuples(st.integers(0, 12), st.integers(0, 12))
fine = st.tuples(st.floats(0, 12), st.floats(0, 12))
line = st.lists(st.one_of(spot, fine), min_size=2, max_size=5, unique=True)
level = st.sampled_from([0, 0, 0, 1, -1])
network = st.lists(
    st.tuples(line, level, st.sampled_from(["A", "B", None])), min_size=1, max_size=9
)


def frame_of(lines: Any, with_nodes: bool) -> Any:
    shapes = [
        shapely.LineString([(10 + x * 1e-3, 45 + y * 1e-3) for x, y in points])
        for points, _, _ in lines
    ]
    ids: dict[Any, int] = {}
    frame = gpd.GeoDataFrame(
        {
            "source_key": [f"osm:way/{n}" for n in range(len(lines))],
            "name": [name for _, _, name in lines],
            "names": [{} for _ in lines],
            "class_": "residential",
            "oneway": "no",
            "level": [level for _, level, _ in lines],
            "form": "single",
            **{column: pd.array([pd.NA] * len(lines), dtype="Int64") for column in RANGE_COLUMNS},
            "node_ids": [
                [ids.setdefault(point, len(ids)) for point in points] if with_nodes else None
                for points, _, _ in lines
            ],
        },
        geometry=shapes,
        crs=4326,
    )
    return frame


def crossing_pairs(found: Any) -> list[tuple[str, str]]:
    shapes, levels = found.segments.geometry.values, found.segments["level"].to_numpy()
    a, b = shapely.STRtree(shapes).query(shapes, predicate="crosses")
    same = (a < b) & (levels[a] == levels[b])
    return [(shapes[i].wkt, shapes[j].wkt) for i, j in zip(a[same], b[same], strict=True)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(network, st.booleans(), st.booleans())
def test_length_is_kept_and_nothing_crosses_inside(lines: Any, nodes: bool, merge: bool) -> None:
    frame = frame_of(lines, nodes)
    found = cut(frame, merge=merge, keep_rows=False)
    source_m = sum(GEOD.geometry_length(shape) for shape in frame.geometry)
    moved_m = 0.7 * len(found.crossings)  # snapping moves a place by 0.3 m at most
    assert abs(found.segments["length_m"].sum() - source_m) <= max(0.001 * source_m, moved_m)
    assert crossing_pairs(found) == []
    assert found.segments["source_key"].is_unique
    ends = found.crossings.geometry
    for column, position in (("from_node", 0), ("to_node", -1)):
        first = shapely.get_point(found.segments.geometry.values, position)
        assert (shapely.distance(first, ends.loc[found.segments[column]].values) == 0).all()


@settings(max_examples=15, deadline=None)
@given(network, st.booleans())
def test_cutting_twice_gives_the_same(lines: Any, nodes: bool) -> None:
    frame = frame_of(lines, nodes)
    one, two = (pd.DataFrame(cut(frame).segments.to_wkb()) for _ in range(2))
    assert one.equals(two)


@given(
    st.integers(1, 400), st.integers(1, 400), st.lists(st.floats(0.1, 500), min_size=1, max_size=8)
)
def test_every_number_of_a_range_falls_into_one_piece(first: int, last: int, lengths: Any) -> None:
    step = 2 if (last - first) % 2 == 0 else 1
    whole = list(range(min(first, last), max(first, last) + 1, step))
    shared: list[int] = []
    for share in divide_range(first, last, lengths):
        if share is not None:
            shared += range(min(share), max(share) + 1, step)
            assert (share[1] - share[0]) * (last - first) >= 0
    assert sorted(shared) == whole
