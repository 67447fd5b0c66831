"""Territory: a whole coverage, agreeing with the stated rule everywhere but at its borders."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.core.crs import geometries_to_plane
from grid.core.errors import BadInput
from grid.nearest import SegmentIndex
from grid.territory import Reserved, Territory, bad_parts, ground_of, territory, territory_after


def build(lines, ids=None, rank=None):
    offsets = np.concatenate([[0], np.cumsum([len(line) for line in lines])])
    coords = np.concatenate([np.asarray(line, float) for line in lines])
    ids = np.arange(len(lines)) if ids is None else ids
    return SegmentIndex.build(
        ids, coords, offsets, np.zeros(len(lines), int) if rank is None else rank
    )


def assert_whole(whole, boundary):
    assert shapely.is_valid(whole.polygons).all()
    assert shapely.coverage_is_valid(whole.polygons)
    assert shapely.area(whole.polygons).sum() == pytest.approx(boundary.area, rel=1e-9)
    assert shapely.coverage_union_all(whole.polygons).equals_exact(
        boundary, 0.001, normalize=True
    ) or (shapely.symmetric_difference(shapely.union_all(whole.polygons), boundary).area < 1e-3)
    assert bad_parts(whole, boundary) == []


# The one exception (DECISIONS.md): the tip of a wedge thinner than twice this may be missing from the ground drawn; a
# point in it is then as near to a border of the rule, though farther than 0.5 m from every border drawn.
THIN_M = 0.1


def near_by_the_rule(index, left, right, x, y, label):
    """Whether the rule gives a label within THIN_M of a point: then a border is as near."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    got = index.nearest(x + THIN_M * np.cos(angle), y + THIN_M * np.sin(angle))
    around = np.where(got.side == 0, np.asarray(left)[got.row], np.asarray(right)[got.row])
    return label in around


def assert_agrees(whole, index, left, right, boundary, reserved=(), count=4000, seed=0):
    """Every random point farther than 0.5 m from a border has the label that the index gives it."""
    rng = np.random.default_rng(seed)
    west, south, east, north = boundary.bounds
    x, y = rng.uniform([[west], [south]], [[east], [north]], (2, count))
    points = shapely.points(x, y)
    got = index.nearest(x, y)
    expected = np.where(got.side == 0, np.asarray(left)[got.row], np.asarray(right)[got.row])
    for one in reversed(reserved):
        expected[shapely.contains(one.area, points)] = one.label
    at, which = shapely.STRtree(whole.polygons).query(points, "intersects")
    assert set(at) == set(np.flatnonzero(shapely.intersects(boundary, points)))
    wrong = whole.labels[which] != expected[at]
    if wrong.any():
        off = shapely.distance(shapely.boundary(whole.polygons[which[wrong]]), points[at[wrong]])
        for k in np.flatnonzero(off >= 0.5):
            p = at[wrong][k]
            label = whole.labels[which[wrong][k]]
            assert near_by_the_rule(index, left, right, x[p], y[p], label), (x[p], y[p], off[k])


def street(rng, size):
    start = rng.uniform(0, size, 2)
    return start + np.cumsum(
        np.vstack([[0, 0], rng.normal(0, 45, (rng.integers(1, 5), 2))]), axis=0
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    two_sided=st.booleans(),
    labels=st.sampled_from([2, 5, 1000]),
    snap=st.sampled_from([None, 40.0]),
)
def test_random_towns_are_covered_whole_and_by_the_rule(seed, count, two_sided, labels, snap):
    rng = np.random.default_rng(seed)
    lines = [street(rng, 400) for _ in range(count)]
    if snap:  # streets on a raster cross, overlap and repeat each other
        lines = [np.round(line / snap) * snap for line in lines]
    left = rng.integers(0, labels, count)
    right = rng.integers(0, labels, count) if two_sided else left
    index = build(lines, rng.permutation(count), rng.integers(0, 3, count))
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False) + rng.uniform(0, 0.6, 9)
    round_ = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(120, 300, (9, 1)) + 200
    boundary = shapely.Polygon(round_).union(shapely.box(150, 150, 250, 250))
    boundary = boundary.difference(shapely.Point(210, 190).buffer(20))
    whole = territory(index, left, right, boundary)
    assert_whole(whole, boundary)
    assert_agrees(whole, index, left, right, boundary)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), labels=st.sampled_from([3, 1000]))
def test_a_change_made_locally_is_the_same_as_made_anew(seed, labels):
    rng = np.random.default_rng(seed)
    count = 60
    lines = [street(rng, 1500) for _ in range(count)]
    left = rng.integers(0, labels, count)
    right = np.where(rng.random(count) < 0.3, rng.integers(0, labels, count), left)
    index = build(lines)
    boundary = shapely.box(-50, -70, 1430, 1510)
    park = Reserved(shapely.Point(rng.uniform(300, 1000, 2)).buffer(90), int(left[0]))
    before = territory(index, left, right, boundary, [park])
    moved = np.array([3, 4])
    put = [lines[3] + rng.normal(0, 30, 2), street(rng, 1500)]
    after = index.replace(
        add_ids=moved, add_coords_xy=np.concatenate(put),
        add_offsets=[0, len(put[0]), len(put[0]) + len(put[1])], add_rank=[0, 1],
    )  # fmt: skip
    left[5] = right[5] = left[6]
    touched = [3, 4, 5]
    changed = np.vstack([ground_of(index, touched, boundary), ground_of(after, touched, boundary)])
    got, anew = territory_after(before, after, left, right, boundary, changed, [park])
    expected = territory(after, left, right, boundary, [park])
    assert_whole(got, boundary)
    assert got.labels.tolist() == expected.labels.tolist()
    assert shapely.equals_exact(got.polygons, expected.polygons, 1e-9, normalize=True).all()
    kept = ~np.isin(got.labels, anew)
    same = before.polygons[np.isin(before.labels, got.labels[kept])]
    assert shapely.equals_identical(got.polygons[kept], same).all()
    assert_agrees(got, after, left, right, boundary, [park])


def test_two_parallel_streets_share_the_ground_at_the_middle_line():
    index = build([[(0, 0), (100, 0)], [(0, 40), (100, 40)]])
    whole = territory(index, [1, 2], [1, 2], shapely.box(0, -10, 100, 60))
    assert whole.labels.tolist() == [1, 2]
    assert shapely.area(whole.polygons) == pytest.approx([100 * 30, 100 * 40], abs=0.5)


def test_a_street_between_two_grids_is_their_border_and_so_is_its_way_on():
    index = build([[(20, 0), (80, 0)]])
    whole = territory(index, [1], [2], shapely.box(0, -30, 100, 50))  # drawn east: left is north
    assert whole.labels.tolist() == [1, 2]
    assert whole.polygons[0].equals_exact(shapely.box(0, 0, 100, 50), 0.1, normalize=True)
    assert whole.polygons[1].equals_exact(shapely.box(0, -30, 100, 0), 0.1, normalize=True)


def test_parks_go_before_and_the_first_of_two_has_what_both_claim():
    index = build([[(0, 0), (100, 0)], [(0, 40), (100, 40)]])
    boundary = shapely.box(0, -10, 100, 60)
    reserved = [
        Reserved(shapely.box(10, 10, 30, 30), 2),  # across the border
        Reserved(shapely.box(20, 10, 40, 15), 7),  # 10 m of it already given
        Reserved(shapely.box(90, 50, 120, 80), 1),  # half outside the town
    ]
    whole = territory(index, [1, 2], [1, 2], boundary, reserved)
    assert whole.labels.tolist() == [1, 2, 7]
    assert shapely.area(whole.polygons) == pytest.approx(
        [3000 - 200 - 50 + 100, 4000 - 200 - 100 + 400, 50], abs=0.2
    )
    assert_whole(whole, boundary)
    assert_agrees(whole, index, [1, 2], [1, 2], boundary, reserved)


def test_the_tip_of_a_sharp_turn_is_traced_to_its_end():
    """A street that turns back by one degree: the ground between is 2 cm wide a metre from the tip."""
    tip = np.array([316.3, 402.3])
    leg = np.array([np.sin(np.radians(2.0)), -np.cos(np.radians(2.0))]) * 60
    other = np.array([np.sin(np.radians(3.0)), -np.cos(np.radians(3.0))]) * 60
    index = build([[tip + leg, tip, tip + other]])
    whole = territory(index, [0], [3], shapely.box(250, 330, 400, 420))
    for away in (0.8, 1.5, 3.0, 10.0):
        middle = tip + (leg + other) / 120 * away
        got = index.nearest(*middle[:, None])
        expected = [0, 3][int(got.side[0])]
        (held,) = (
            label
            for label, ground in zip(whole.labels, whole.polygons, strict=True)
            if ground.contains(shapely.Point(middle))
        )
        assert held == expected
    assert_whole(whole, shapely.box(250, 330, 400, 420))


def test_one_label_has_the_whole_town():
    index = build([[(0, 0), (100, 0)], [(0, 40), (100, 40)]])
    boundary = shapely.MultiPolygon([shapely.box(0, 0, 50, 50), shapely.box(60, 0, 99, 50)])
    whole = territory(index, [5, 5], [5, 5], boundary)
    assert whole.labels.tolist() == [5]
    assert whole.polygons[0].equals(boundary)


def test_bad_parts_are_named_with_their_place_and_size():
    boundary = shapely.box(0, 0, 30, 10)
    shapes = [shapely.box(0, 0, 10, 10), shapely.box(9, 0, 20, 10), shapely.box(22, 0, 31, 10)]
    found = bad_parts(Territory(np.array([1, 2, 3]), np.array(shapes)), boundary)
    told = {part.kind: (part.labels, round(part.area_m2, 6)) for part in found}
    assert told == {"overlap": ((1, 2), 10.0), "gap": ((), 20.0), "outside": ((), 10.0)}
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    found = bad_parts(Territory(np.array([1]), np.array([bow])), shapely.make_valid(bow))
    assert [part.kind for part in found] == ["invalid"]


def test_what_cannot_be_covered_is_refused():
    lines = [[(0, 0), (100, 0)]]
    boundary = shapely.box(0, 0, 1, 1)
    with pytest.raises(BadInput, match=r"territory\.boundary_unusable"):
        territory(build(lines), [1], [1], shapely.LineString(lines[0]))
    with pytest.raises(BadInput, match=r"ground\.lengths_differ"):
        territory(build(lines), [1, 2], [1], boundary)
    with pytest.raises(BadInput, match=r"territory\.no_segments"):
        territory(build(lines).replace(remove=[0]), [1], [1], boundary)
    with pytest.raises(BadInput, match=r"territory\.area_unusable"):
        territory(build(lines), [1], [1], boundary, [Reserved(shapely.Point(0, 0), 1)])


def test_cambridge_by_segment_and_side(shared_data):
    folder = shared_data / "us-cambridge"
    streets = gpd.read_file(folder / "street-centerlines.geojson").explode()
    plane = geometries_to_plane(streets.geometry.values, 32619)
    lines = [shapely.get_coordinates(shape) for shape in plane]
    town = gpd.read_file(folder / "neighborhoods.geojson")
    boundary = shapely.union_all(
        shapely.make_valid(geometries_to_plane(town.geometry.values, 32619))
    )
    index = build(lines)
    left = 2 * np.arange(len(lines))
    whole = territory(index, left, left + 1, boundary)
    assert_whole(whole, boundary)
    assert_agrees(whole, index, left, left + 1, boundary, count=30_000)
