"""The invented town: its streets really meet, its ground is divided, its numbers rise, its bytes repeat."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fixtures.scales import ScaleName
from fixtures.town import InventedTown, make_town
from grid.core.crs import geometries_to_plane


@cache
def bare_town(seed: int, scale: ScaleName) -> InventedTown:
    """A town without its incidents, made once."""
    return make_town(seed, scale, incident_count=0)


@pytest.fixture(scope="module")
def town() -> InventedTown:
    return make_town(incident_count=300)


def _edges(town: InventedTown) -> tuple[np.ndarray, np.ndarray]:
    """Every straight edge of every street line (n, 2, 2) and the row it belongs to."""
    lines = town.streets.geometry.to_numpy()
    parts = [shapely.get_coordinates(line) for line in lines]
    edges = np.concatenate([np.stack([p[:-1], p[1:]], axis=1) for p in parts])
    return edges, np.repeat(np.arange(len(lines)), [len(p) - 1 for p in parts])


@pytest.mark.parametrize(
    ("seed", "scale"), [(20260101, "town"), (7, "town"), (8, "town"), (3, "city")]
)
def test_lines_meet_only_at_shared_vertices(seed: int, scale: ScaleName) -> None:
    town = bare_town(seed, scale)
    edges, row = _edges(town)
    level = town.streets["level"].to_numpy()[row]
    tree = shapely.STRtree(shapely.linestrings(edges))
    a, b = tree.query(tree.geometries, predicate="intersects")
    a, b = a[a < b], b[a < b]
    same = (edges[a][:, :, None, :] == edges[b][:, None, :, :]).all(axis=3).any(axis=(1, 2))
    stray = ~same & (level[a] == level[b])
    assert not stray.any(), edges[a[stray]][:3].tolist()


@pytest.mark.parametrize(("seed", "scale"), [(20260101, "town"), (7, "town"), (3, "city")])
def test_network_is_one_piece_of_the_expected_size(seed: int, scale: ScaleName) -> None:
    town = bare_town(seed, scale)
    edges, _ = _edges(town)
    points, node = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    node = node.reshape(-1, 2)
    graph = coo_array((np.ones(len(node)), (node[:, 0], node[:, 1])), shape=(len(points),) * 2)
    count, _ = connected_components(graph, directed=False)
    assert count == 1
    degree = np.bincount(node.ravel())
    segments = degree[degree != 2].sum() // 2
    low, high = {"town": (900, 1600), "city": (8_500, 11_500)}[scale]
    assert low < segments < high


def test_the_first_report_of_the_readme_has_its_crossing(town: InventedTown) -> None:
    one = town.streets[town.streets["name"] == "永胜路"].geometry.union_all()
    other = town.streets[town.streets["name"] == "站前路"].geometry.union_all()
    meeting = shapely.intersection(one, other)
    assert meeting.geom_type == "Point"
    for street in ("永胜路", "站前路"):  # both go on beyond it: a full crossing
        lines = town.streets[town.streets["name"] == street].geometry
        assert sum(shapely.touches(line, meeting) for line in lines) == 2


def test_streets_have_the_columns_and_words_of_the_brief(town: InventedTown) -> None:
    streets = town.streets
    assert list(streets.columns) == [
        "source_key", "name", "names", "class_", "oneway", "level", "form",
        "left_from", "left_to", "right_from", "right_to", "node_ids", "geometry",
    ]  # fmt: skip
    assert streets.crs.to_epsg() == 4326
    assert streets["source_key"].is_unique
    named = streets["name"].dropna().unique()
    assert 60 <= len(named) <= 100
    assert {"永胜路", "站前路", "府前街", "人民大道", "老东门巷", "步行街"} <= set(named)
    assert streets["name"].isna().sum() > 50
    assert {"single", "dual", "roundabout"} == set(streets["form"])
    assert {"primary", "secondary", "tertiary", "residential", "service", "pedestrian"} == set(
        streets["class_"]
    )
    assert (streets.loc[streets["form"] != "single", "oneway"] == "forward").all()
    assert streets.loc[streets["name"] == "永胜路", "names"].iloc[0]["en"] == "Yongsheng Road"
    ring = streets.loc[streets["form"] == "roundabout", "geometry"].iloc[0]
    assert ring.is_ring
    assert shapely.is_ccw(ring)


@pytest.mark.parametrize(("seed", "scale"), [(7, "town"), (8, "town"), (20260101, "city")])
def test_nothing_but_bridges_crosses_water(seed: int, scale: ScaleName) -> None:
    town = bare_town(seed, scale)
    crossing = town.streets[town.streets.geometry.intersects(town.river)]
    assert (crossing["level"] == 1).all()
    assert len(crossing) == (town.streets["level"] == 1).sum() >= 3


def test_bridges_span_the_river_and_one_flies_over_the_bank_roads(town: InventedTown) -> None:
    decks = town.streets[town.streets["level"] == 1]
    assert 4 <= decks["name"].nunique() <= 6
    assert decks.geometry.intersects(town.river).all()
    others = town.streets[town.streets["level"] == 0]
    assert not others.geometry.intersects(town.river).any()
    banks = others[others["name"].isin(["滨河西路", "滨河东路"])].geometry.union_all()
    over = decks[decks["name"] == "人民大道"]
    assert len(over) == 2
    assert over.geometry.crosses(banks).all()


def test_communities_divide_the_town(town: InventedTown) -> None:
    areas = town.boundaries
    plane = geometries_to_plane(areas.geometry.to_numpy(), town.plane_epsg)
    level = areas["level"].to_numpy()
    whole = plane[level == "town"][0]
    for name, low, high in (("community", 8, 14), ("township", 2, 3)):
        parts = plane[level == name]
        assert low <= len(parts) <= high
        assert shapely.coverage_is_valid(parts)
        assert shapely.area(parts).sum() == pytest.approx(whole.area, abs=0.01)
        assert {p.geom_type for p in parts} == {"Polygon"}
    assert town.streets.geometry.within(town.boundary).all()
    assert areas["code"].is_unique


def test_plates_are_odd_and_even_and_rise(town: InventedTown) -> None:
    plates = town.door_plates
    assert 6_000 <= len(plates) <= 10_500
    assert not plates.duplicated(["street", "house_number"]).any()
    assert plates["community"].notna().all()
    metres = geometries_to_plane(plates.geometry.to_numpy(), town.plane_epsg)
    whole = plates["house_number"].str.isdecimal()
    number = plates.loc[whole, "house_number"].astype(int).to_numpy()
    streets = geometries_to_plane(town.streets.geometry.to_numpy(), town.plane_epsg)
    for street in ("永胜路", "站前路"):
        mine = (plates.loc[whole, "street"] == street).to_numpy()
        rows = (town.streets["name"] == street).to_numpy()
        line = shapely.line_merge(shapely.union_all(streets[rows]))
        first = streets[rows][0]
        along = shapely.line_locate_point(line, metres[whole.to_numpy()][mine])
        if shapely.line_locate_point(line, shapely.Point(first.coords[0])) > 1.0:
            along = line.length - along
        assert np.corrcoef(along, number[mine])[0, 1] > 0.995
        side = np.array([_left_of(line, p) for p in metres[whole.to_numpy()][mine]])
        odd = number[mine] % 2 == 1
        assert (side[odd] == side[odd][0]).all()
        assert (side[~odd] != side[odd][0]).all()


def _left_of(line: shapely.LineString, point: shapely.Point) -> bool:
    at = shapely.line_locate_point(line, point)
    a = line.interpolate(max(at - 1.0, 0.0))
    b = line.interpolate(at + 1.0)
    return bool((b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) > 0)


def test_ranges_hold_the_plates_of_their_stretch(town: InventedTown) -> None:
    """A plate's number lies in the range of the nearest row of its street, on the plate's own hand."""
    ranged = town.streets["left_from"].notna() | town.streets["right_from"].notna()
    rows = town.streets[ranged]
    metres = geometries_to_plane(rows.geometry.to_numpy(), town.plane_epsg)
    plates = town.door_plates[town.door_plates["house_number"].str.isdecimal()]
    points = geometries_to_plane(plates.geometry.to_numpy(), town.plane_epsg)
    by_street = {name: np.flatnonzero(rows["name"] == name) for name in rows["name"].unique()}
    inside = total = 0
    for point, street, text in list(
        zip(points, plates["street"], plates["house_number"], strict=True)
    )[::7]:
        places = by_street[street]
        k = places[np.argmin(shapely.distance(metres[places], point))]
        hand = "left" if _left_of(metres[k], point) else "right"
        row = rows.iloc[k]
        if pd.isna(row[f"{hand}_from"]):
            continue
        low, high = sorted((int(row[f"{hand}_from"]), int(row[f"{hand}_to"])))
        total += 1
        inside += low <= int(text) <= high and (int(text) - low) % 2 == 0
    assert total > 500
    assert inside / total > 0.99


def test_places_stand_where_they_say(town: InventedTown) -> None:
    places = town.places
    assert places["name"].is_unique
    assert {
        "market", "school", "hospital", "park", "bus_station", "square", "government", "residential",
        "bridge", "shop", "toilet", "bank",
    } <= set(places["kind"])  # fmt: skip
    assert places["address"].notna().all()
    assert places.geometry.is_valid.all()
    assert any(n.get("alt") == "二中" for n in places["names"])
    solid = places[places.geometry.geom_type == "Polygon"]
    assert not solid.geometry.intersects(town.river).any()
    tree = shapely.STRtree(solid.geometry.to_numpy())
    a, b = tree.query(solid.geometry.to_numpy(), predicate="overlaps")
    assert len(a) == len(b) == 0


def test_crews_fill_every_post_of_every_grid(town: InventedTown) -> None:
    crews = town.crews([f"G{k:03d}" for k in range(40)])
    staff = town.staff.set_index("staff_no")
    for post in ("officer", "cleaner", "gardener", "maintainer"):
        assert crews[post].nunique() == 40
        assert (staff.loc[crews[post], "post"] == post).all()
    assert (staff.loc[crews["leader"], "post"] == "leader").all()
    assert staff.index.is_unique
    assert set(town.units["head"]) <= set(staff.index)
    assert set(staff["unit"]) == set(town.units["name"])
    assert town.staff["phone"].str.match(r"0000-\d{7}$").all()
    assert town.crews([f"G{k}" for k in range(55)])["officer"].notna().all()


# Of make_town(incident_count=300). It changes with every change of the town's making; say so in the changelog.
FINGERPRINT = "ffd8327d2f841d55d19777cc066447cd6e57d6454b1a41c81312b7a35787b317"


def fingerprint(town: InventedTown) -> str:
    """A hash of every frame, in a form that does not depend on the machine."""
    digest = hashlib.sha256()
    for name in ("streets", "door_plates", "places", "boundaries", "km_posts", "facilities"):
        frame = getattr(town, name)
        table = pd.DataFrame(frame.drop(columns="geometry"))
        digest.update(table.to_json(orient="split", force_ascii=False).encode())
        digest.update(b"".join(shapely.to_wkb(frame.geometry.to_numpy(), byte_order=1)))
    for name in ("staff", "units", "incidents"):
        text = getattr(town, name).to_json(orient="split", force_ascii=False, date_format="iso")
        digest.update(text.encode())
    return digest.hexdigest()


def test_same_seed_same_bytes(town: InventedTown) -> None:
    assert fingerprint(make_town(incident_count=300)) == fingerprint(town)
    assert fingerprint(town) == FINGERPRINT
    assert fingerprint(make_town(seed=1, incident_count=300)) != fingerprint(town)
