"""The stated rule, against distances that shapely measures and sides worked out by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.core.crs import geometries_to_plane
from grid.core.errors import BadInput
from grid.nearest import (
    LEFT,
    RIGHT,
    Choice,
    SegmentIndex,
    choose,
    locate_on,
    measure,
    nearest_of,
    side_of,
)
from tests.lines import beyond_m

REPOSITORY = Path(__file__).resolve().parents[2]


def packed(lines):
    """Lists of vertices as the arrays of SegmentIndex.build."""
    offsets = np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.int64)
    coords = (
        np.concatenate([np.asarray(line, float) for line in lines]) if lines else np.empty((0, 2))
    )
    return coords, offsets


def build(lines, ids=None, rank=None):
    coords, offsets = packed(lines)
    ids = np.arange(len(lines)) if ids is None else ids
    return SegmentIndex.build(
        ids, coords, offsets, np.zeros(len(lines), int) if rank is None else rank
    )


def expected(lines, ids, rank, x, y):
    """By brute force: (winner, its distance, second, its distance, no doubt about the rule's limits)."""
    shapes = [shapely.LineString(line) for line in lines]
    away = shapely.distance(np.array(shapes)[None, :], shapely.points(x, y)[:, None])
    answers = []
    for k, distances in enumerate(away):
        left = np.arange(len(lines))
        row = []
        sure = True
        for _ in range(2):
            if not len(left):
                row += [-1, np.inf]
                continue
            least = distances[left].min()
            sure &= not (np.abs(distances[left] - least - 1e-6) < 2e-8).any()
            equals = [i for i in left if distances[i] <= least + 1e-6]
            if len(equals) > 1:
                past = np.array([beyond_m(shapes[i], x[k], y[k]) for i in equals])
                sure &= not (np.abs(past - past.min() - 1e-6) < 2e-8).any()
                equals = [i for i, p in zip(equals, past, strict=True) if p <= past.min() + 1e-6]
            winner = min(equals, key=lambda i: (rank[i], ids[i]))
            row += [winner, distances[winner]]
            left = left[left != winner]
        answers.append((*row, sure))
    return answers


whole = st.integers(-6, 6).map(lambda k: 10.0 * k)
rough = st.floats(-80, 80, allow_nan=False).map(lambda v: round(v, 3))
vertex = st.tuples(st.one_of(whole, rough), st.one_of(whole, rough))
polyline = st.lists(vertex, min_size=2, max_size=6)
town = st.lists(polyline, min_size=1, max_size=25)
places = st.lists(
    st.tuples(st.one_of(whole, rough, st.just(1e5)), st.one_of(whole, rough)),
    min_size=1,
    max_size=30,
)


def assert_agrees(index, lines, ids, rank, x, y):
    got = index.nearest(x, y)
    for k, (winner, d, second, d2, sure) in enumerate(expected(lines, ids, rank, x, y)):
        if not sure:
            continue
        assert index.segment_ids[got.row[k]] == ids[winner]
        assert got.distance_m[k] == pytest.approx(d, abs=1e-7)
        if second >= 0:
            assert index.segment_ids[got.second_row[k]] == ids[second]
            assert got.second_distance_m[k] == pytest.approx(d2, abs=1e-7)
        else:
            assert got.second_row[k] == -1
            assert got.second_distance_m[k] == np.inf
        line = np.asarray(lines[winner], float)
        assert locate_on(line, x[k], y[k]) == (got.distance_m[k], got.along_m[k], got.side[k])
        foot = shapely.LineString(line).interpolate(got.along_m[k])
        assert foot.distance(shapely.Point(x[k], y[k])) == pytest.approx(d, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(lines=town, at=places, seed=st.integers(0, 2**32 - 1))
def test_winner_and_second_are_those_of_brute_force(lines, at, seed):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(len(lines)) + 7
    rank = rng.integers(0, 3, len(lines))
    x, y = np.array(at).T
    on_lines = [lines[k % len(lines)][0] for k in range(5)]  # crossings and points on the line
    x = np.concatenate([x, [p[0] for p in on_lines]])
    y = np.concatenate([y, [p[1] for p in on_lines]])
    index = build(lines, ids, rank)
    assert_agrees(index, lines, ids, rank, x, y)


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(polyline, min_size=3, max_size=30), at=places, data=st.data())
def test_replace_is_the_same_as_building_anew_and_leaves_the_old_index_alone(lines, at, data):
    rank = np.arange(len(lines)) % 3
    ids = np.arange(len(lines))
    x, y = np.array(at).T
    index = build(lines, ids, rank)
    now = dict(zip(ids.tolist(), lines, strict=True))
    ranks = dict(zip(ids.tolist(), rank.tolist(), strict=True))
    changed = index
    for _ in range(data.draw(st.integers(1, 4))):
        gone = data.draw(st.lists(st.sampled_from(sorted(now)), unique=True, max_size=3))
        put = data.draw(st.dictionaries(st.integers(0, 40), polyline, max_size=3))
        coords, offsets = packed(list(put.values()))
        changed = changed.replace(gone, list(put), coords, offsets, [1] * len(put))
        for k in gone:
            del now[k], ranks[k]
        now |= put
        ranks |= dict.fromkeys(put, 1)
        if not now:
            break
        assert_agrees(changed, [*now.values()], [*now], [*ranks.values()], x, y)
    assert_agrees(index, lines, ids, rank, x, y)


def test_many_segments_with_far_points_and_changes_in_two_branches():
    rng = np.random.default_rng(5)
    start = rng.uniform(0, 3000, (1500, 2))
    lines = [np.vstack([p, p + rng.normal(0, 60, (3, 2))]) for p in start]
    index = build(lines)
    x, y = rng.uniform(-2000, 5000, (2, 30_000))
    tree = shapely.STRtree([shapely.LineString(line) for line in lines])

    def check(index, tree, keys):
        got = index.nearest(x, y, threads=2)
        (_, rows), least = tree.query_nearest(
            shapely.points(x, y), return_distance=True, all_matches=False
        )
        assert (index.segment_ids[got.row] == keys[rows]).mean() > 0.9999
        np.testing.assert_allclose(got.distance_m, least, atol=2e-6)

    check(index, tree, np.arange(1500))
    moved = np.asarray(lines[7]) + 100
    one = index.replace(add_ids=[7], add_coords_xy=moved, add_offsets=[0, 4], add_rank=[0])
    other = index.replace(remove=[8, 9])
    check(one, shapely.STRtree([shapely.LineString(moved if k == 7 else line) for k, line in enumerate(lines)]),
          np.arange(1500))  # fmt: skip
    keys = np.delete(np.arange(1500), [8, 9])
    check(other, shapely.STRtree([shapely.LineString(lines[k]) for k in keys]), keys)
    check(index, tree, np.arange(1500))


def test_equal_distances_at_a_crossing_go_to_the_lower_rank_then_the_lower_id():
    cross = [[(0, 0), (10, 0)], [(0, 0), (0, 10)], [(0, 0), (-10, 0)]]
    index = build(cross, ids=[30, 20, 10], rank=[2, 1, 1])
    assert index.segment_ids[index.nearest(0.0, 0.0).row[0]] == 10
    # 0.9 µm nearer to the path (rank 2) is still equal; 1.1 µm is not
    parallel = [[(0, 0), (10, 0)], [(0, 2), (10, 2)]]
    index = build(parallel, ids=[1, 2], rank=[2, 0])
    got = index.nearest([5.0, 5.0], [1 - 0.45e-6, 1 - 0.55e-6])
    assert index.segment_ids[got.row].tolist() == [2, 1]
    assert got.distance_m == pytest.approx([1 + 0.45e-6, 1 - 0.55e-6], abs=1e-9)
    assert index.segment_ids[got.second_row].tolist() == [1, 2]


def test_outside_a_joint_each_segment_keeps_its_half():
    # a street that bends to the left at (0, 0) is cut there; a third of higher class comes in from the left
    bent = [[(-10, 0), (0, 0)], [(0, 0), (10, 10)], [(-7, 7), (0, 0)]]
    ids, rank = [3, 2, 1], [4, 4, 0]
    index = build(bent, ids, rank)
    toward = np.deg2rad([-89, -68, -67, -46, 0])  # the wedge opens from -90 to -45 degrees
    x, y = 7 * np.cos(toward), 7 * np.sin(toward)
    got = index.nearest(x, y)
    assert index.segment_ids[got.row].tolist() == [3, 3, 2, 2, 2]
    assert got.side.tolist() == [RIGHT] * 5
    assert index.segment_ids[index.nearest(0.0, 0.0).row[0]] == 1
    found = [measure(line, x[1], y[1]) for line in bent]
    assert found[0].beyond_m == pytest.approx(x[1])
    assert choose(found, rank, ids) == Choice(0, (0, 1, 2), "way_on")
    found = [measure(line, 0, 0) for line in bent]
    assert choose(found, rank, ids) == Choice(2, (0, 1, 2), "rank")
    assert choose(found, [4, 4, 4], ids) == Choice(2, (0, 1, 2), "id")
    assert choose(found[:1], [4], [3]) == Choice(0, (0,), "distance")


LINE = [(0, 0), (10, 0), (10, 10)]  # east, then a turn to the left


@pytest.mark.parametrize(
    ("point", "side"),
    [
        ((5, 1), LEFT),
        ((5, -1), RIGHT),
        ((5, 0.0009), RIGHT),  # on the line
        ((5, 0.0011), LEFT),
        ((12, -0.5), RIGHT),  # outside the corner, where one edge drawn on would say left
        ((10.5, -12), RIGHT),
        ((9, 1), LEFT),
        ((-5, 1), LEFT),  # beyond the start
        ((-5, -1), RIGHT),
        ((9, 15), LEFT),  # beyond the end
        ((11, 15), RIGHT),
    ],
)
def test_side_at_corners_and_beyond_the_ends(point, side):
    assert side_of(LINE, *point) == side
    assert side_of(LINE[::-1], *point) == (RIGHT if point == (5, 0.0009) else 1 - side)
    doubled = [LINE[0], LINE[0], LINE[1], LINE[1], LINE[1], LINE[2], LINE[2]]
    assert side_of(doubled, *point) == side


def test_side_of_sharp_corners_and_closed_lines():
    # a hairpin: the point beyond its tip is right of a left turn although it is left of the first edge drawn on
    hairpin = [(0, 0), (10, 0), (0, 1)]
    assert side_of(hairpin, 12, 0.1) == RIGHT
    assert side_of(hairpin, 5, 0.2) == LEFT
    over_itself = [(80, 240), (160, 160), (120, 200), (160, 280)]
    assert side_of(over_itself, 92.17, 168.64) == RIGHT  # the way there counts, not the way back
    assert side_of(over_itself, 106.55, 155.92) == RIGHT
    there_and_back = [(0, 0), (10, 0), (0, 0)]
    assert side_of(there_and_back, 12, 1) == LEFT
    assert side_of(there_and_back, 12, -1) == RIGHT
    ring = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]  # counter-clockwise: inside is left
    assert side_of(ring, 5, 2) == LEFT
    for outside in [(-1, -2), (-2, -1), (11, 12), (12, -1)]:
        assert side_of(ring, *outside) == RIGHT


@settings(max_examples=100, deadline=None)
@given(
    radii=st.lists(st.floats(20, 60), min_size=5, max_size=12),
    spin=st.floats(0, 6.28),
    at=st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
)
def test_inside_of_any_closed_line_is_one_side(radii, spin, at):
    angle = spin + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * np.array(radii)[:, None]
    area = shapely.Polygon(ring)
    point = shapely.Point(at)
    if area.exterior.distance(point) <= 0.0011:
        return
    line = np.vstack([ring, ring[:1]])
    assert side_of(line, *at) == (LEFT if area.contains(point) else RIGHT)
    assert side_of(line[::-1], *at) == (RIGHT if area.contains(point) else LEFT)


def test_nothing_to_find():
    empty = build([])
    got = empty.nearest([1.0, np.nan], [2.0, 3.0])
    assert got.row.tolist() == [-1, -1]
    assert got.distance_m.tolist() == [np.inf, np.inf]
    got = build([LINE]).nearest([np.nan, np.inf, 1.0], [0.0, 0.0, 1.0])
    assert got.row.tolist() == [-1, -1, 0]
    assert got.second_row.tolist() == [-1, -1, -1]
    assert nearest_of([], [], [], 0, 0)[0] == -1
    gone = build([LINE], ids=[4]).replace(remove=[4])
    assert gone.nearest(0.0, 0.0).row[0] == -1
    back = gone.replace(add_ids=[5], add_coords_xy=LINE, add_offsets=[0, 3], add_rank=[0])
    assert back.segment_ids[back.nearest(0.0, 0.0).row].tolist() == [5]


def test_bad_lines_are_refused_with_their_row():
    with pytest.raises(BadInput, match=r"ground\.line_unusable") as trouble:
        build([LINE, [(0, 0)]])
    assert trouble.value.values == {"row": 1}
    with pytest.raises(BadInput, match=r"ground\.line_unusable"):
        build([LINE, [(0, 0), (np.nan, 1)]])
    with pytest.raises(BadInput, match=r"ground\.ids_repeated"):
        build([LINE, LINE], ids=[1, 1])
    with pytest.raises(BadInput, match=r"ground\.lengths_differ"):
        SegmentIndex.build([1], LINE, [0, 2], [0])
    with pytest.raises(BadInput, match=r"ground\.segment_unknown"):
        build([LINE]).replace(remove=[9])
    with pytest.raises(BadInput, match=r"ground\.line_unusable"):
        locate_on([(0, 0)], 0, 0)


def cambridge(shared_data):
    streets = gpd.read_file(shared_data / "us-cambridge" / "street-centerlines.geojson").explode()
    plane = geometries_to_plane(streets.geometry.values, 32619)
    return [shapely.get_coordinates(shape) for shape in plane], streets


def test_ten_thousand_points_in_cambridge_are_those_of_brute_force(shared_data):
    lines, streets = cambridge(shared_data)
    rank = streets["MajorRoad"].fillna(0).astype(int).to_numpy()
    ids = np.arange(len(lines)) + 1
    index = build(lines, ids, rank)
    box = shapely.total_bounds(
        shapely.multilinestrings([shapely.LineString(line) for line in lines])
    )
    rng = np.random.default_rng(2015)
    x, y = rng.uniform(box[[0, 1], None], box[[2, 3], None], (2, 9_000))
    nodes = np.concatenate(lines)[rng.integers(0, sum(map(len, lines)), 1_000)]
    x, y = np.concatenate([x, nodes[:, 0]]), np.concatenate([y, nodes[:, 1]])
    assert_agrees(index, lines, ids, rank, x, y)
    position, distance_m, along_m, side = nearest_of(lines, ids, rank, x[0], y[0])
    got = index.nearest(x[:1], y[:1])
    assert (got.row[0], got.distance_m[0]) == (position, distance_m)
    assert (got.along_m[0], got.side[0]) == (along_m, side)


def test_works_where_no_cache_can_be_written(tmp_path):
    """A program installed in a read-only folder, for a user without a home."""
    shutil.copytree(
        REPOSITORY / "grid", tmp_path / "grid", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = (
        "import numba.core.caching as c\n"
        "def no(*a): raise OSError('read-only')\n"
        "c._CacheLocator.ensure_cache_path = no\n"
        "from grid.nearest import side_of\n"
        "assert side_of([(0, 0), (1, 0)], 0.5, 1) == 0\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
