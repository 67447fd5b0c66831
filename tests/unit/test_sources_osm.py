"""A hand-written OSM town: what becomes a street, a plate, a place, a boundary, and what is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from grid.core.errors import BadInput, NotFound
from grid.segments import cut
from grid.sources.osm import OsmTown, read_osm
from grid.sources.osm_places import kind_of

NODES = {
    1: (117.000, 25.000),
    2: (117.001, 25.000),
    3: (117.002, 25.000),
    4: (117.001, 25.001),
    5: (117.001, 24.999),
    6: (117.000, 25.0002),
    7: (117.002, 25.0002),
    8: (117.003, 25.001),
    9: (117.003, 25.002),
    10: (117.004, 25.002),
    11: (117.004, 25.001),
}


def xml(*things: str) -> str:
    places = "".join(
        f'<node id="{n}" version="1" lon="{lon}" lat="{lat}"/>'
        for n, (lon, lat) in NODES.items()
        if not any(f'<node id="{n}"' in thing for thing in things)
    )
    ordered = sorted(things, key=lambda t: "nwr".index(t[1]))
    return f'<?xml version="1.0"?><osm version="0.6">{places}{"".join(ordered)}</osm>'


def tags(**said: str) -> str:
    return "".join(
        f'<tag k="{key.replace("__", ":")}" v="{value}"/>' for key, value in said.items()
    )


def node(number: int, **said: str) -> str:
    lon, lat = NODES[number]
    return f'<node id="{number}" version="1" lon="{lon}" lat="{lat}">{tags(**said)}</node>'


def way(number: int, refs: list[int], **said: str) -> str:
    nodes = "".join(f'<nd ref="{ref}"/>' for ref in refs)
    return f'<way id="{number}" version="1">{nodes}{tags(**said)}</way>'


def boundary(number: int, ways: list[int], **said: str) -> str:
    members = "".join(f'<member type="way" ref="{ref}" role="outer"/>' for ref in ways)
    both = tags(type="boundary", boundary="administrative", **said)
    return f'<relation id="{number}" version="1">{members}{both}</relation>'


def read(tmp_path: Path, *things: str) -> OsmTown:
    path = tmp_path / "town.osm"
    path.write_text(xml(*things), encoding="utf-8")
    return read_osm(path)


def test_street_tags_become_our_words(tmp_path: Path) -> None:
    said = {"name": "解放路", "name__en": "Jiefang Road", "alt_name": "大街", "old_name": "旧街"}
    town = read(
        tmp_path,
        way(1, [1, 2, 3], highway="primary", **said),
        way(2, [2, 4], highway="tertiary_link", oneway="-1"),
        way(3, [2, 5], highway="living_street", bridge="yes"),
        way(4, [5, 1], highway="footway", tunnel="yes"),
        way(5, [4, 8], highway="motorway", layer="2", bridge="yes"),
        way(6, [8, 9, 10, 11, 8], highway="unclassified", junction="roundabout"),
    )
    rows = town.streets.set_index("source_key")
    assert rows["class_"].to_dict() == {
        "osm:way/1": "primary",
        "osm:way/2": "tertiary",
        "osm:way/3": "residential",
        "osm:way/4": "path",
        "osm:way/5": "trunk",
        "osm:way/6": "residential",
    }
    first = rows.loc["osm:way/1"]
    assert first["name"] == "解放路"
    assert first["names"] == {"en": "Jiefang Road", "alt": "大街", "old": "旧街"}
    assert first["node_ids"] == [1, 2, 3]
    assert list(first.geometry.coords) == [NODES[1], NODES[2], NODES[3]]
    assert rows["name"].isna().sum() == 5
    assert rows["oneway"].tolist() == ["no", "backward", "no", "no", "forward", "forward"]
    assert rows["level"].tolist() == [0, 0, 1, -1, 2, 0]
    assert rows["form"].tolist() == ["single", "ramp", "single", "single", "single", "roundabout"]


def test_every_other_name_is_taken_in(tmp_path: Path) -> None:
    said = {
        "old_name": "霞飞路;宝昌路",
        "old_name__1943-1950": "林森中路",
        "old_name__en": "Avenue Joffre",
        "short_name": "淮海路",
        "loc_name": "老霞飞",
        "official_name": "淮海中路",
        "alt_name_1": "淮中路",
        "ref": "S20",
        "name__left": "左",
        "old_name__ja": " ",
    }
    town = read(tmp_path, way(1, [1, 2], highway="primary", name="淮海中路", **said))
    assert town.streets["names"].iloc[0] == {
        "old": "霞飞路;宝昌路",
        "old:1943-1950": "林森中路",
        "old:en": "Avenue Joffre",
        "short": "淮海路",
        "loc": "老霞飞",
        "official": "淮海中路",
        "alt:1": "淮中路",
        "ref": "S20",
    }


def test_what_is_no_street_of_its_own_is_counted(tmp_path: Path) -> None:
    town = read(
        tmp_path,
        way(1, [1, 2], highway="residential"),
        way(2, [2, 3], highway="footway", footway="sidewalk"),
        way(3, [2, 4], highway="cycleway", cycleway="crossing"),
        way(4, [8, 9, 10, 8], highway="pedestrian", area="yes", name="人民广场"),
        way(5, [4, 5], highway="construction"),
        way(6, [4, 5], highway="corridor", indoor="yes"),
        way(7, [4, 5], railway="rail"),
    )
    assert town.streets["source_key"].tolist() == ["osm:way/1"]
    assert {key: n for key, n in town.counts.items() if key.startswith("left_out")} == {
        "left_out/footway": 1,
        "left_out/cycleway": 1,
        "left_out/pedestrian": 1,
        "left_out/construction": 1,
        "left_out/corridor": 1,
    }
    assert town.places[["name", "kind"]].values.tolist() == [["人民广场", "square"]]


def test_clipped_ways_keep_their_runs(tmp_path: Path) -> None:
    town = read(
        tmp_path,
        way(1, [1, 2, 99, 98, 4, 8], highway="residential"),
        way(2, [97, 3, 96], highway="residential"),
    )
    assert town.streets["source_key"].tolist() == ["osm:way/1", "osm:way/1.1"]
    assert town.streets["node_ids"].tolist() == [[1, 2], [4, 8]]
    assert [(one.row, one.code, one.kept) for one in town.refused] == [
        ("way/1", "import.osm.way_clipped", True),
        ("way/2", "import.osm.way_empty", False),
    ]
    assert town.refused[0].values == {"missing": 2, "nodes": 6}


def test_dual_carriageways_are_seen_by_name_and_direction(tmp_path: Path) -> None:
    #   6 ←←← 7   one street of two carriageways 22 m apart
    #   1 →→→ 3
    both = {"highway": "primary", "oneway": "yes", "name": "迎宾大道"}
    town = read(tmp_path, way(1, [1, 3], **both), way(2, [7, 6], **both))
    assert town.streets["form"].tolist() == ["dual", "dual"]
    same = read(tmp_path, way(1, [1, 3], **both), way(2, [6, 7], **both))
    assert same.streets["form"].tolist() == ["single", "single"]
    other = read(tmp_path, way(1, [1, 3], **both), way(2, [7, 6], **{**both, "name": "辅路"}))
    assert other.streets["form"].tolist() == ["single", "single"]


def test_bridge_over_a_road_and_shared_node(tmp_path: Path) -> None:
    over = read(
        tmp_path,
        way(1, [1, 3], highway="residential", name="A"),
        way(2, [4, 5], highway="residential", name="B", bridge="yes"),
    )
    assert len(cut(over.streets).segments) == 2
    meeting = read(
        tmp_path,
        way(1, [1, 2, 3], highway="residential", name="A"),
        way(2, [4, 2, 5], highway="residential", name="B", bridge="yes"),
    )
    assert len(cut(meeting.streets).segments) == 4


def test_door_plates_from_nodes_areas_and_interpolation(tmp_path: Path) -> None:
    address = {"addr__street": "解放路"}
    town = read(
        tmp_path,
        node(1, addr__housenumber="2", **address),
        node(3, addr__housenumber="8", **address),
        node(4, addr__housenumber="15附2;17", addr__neighbourhood="东门社区", **address),
        node(5, addr__housenumber="9"),
        way(1, [1, 3], addr__interpolation="even"),
        way(2, [8, 9, 10, 11, 8], building="yes", addr__housenumber="21", **address),
    )
    rows = town.door_plates
    assert sorted(rows["house_number"]) == ["15附2", "17", "2", "21", "4", "6", "8"]
    assert set(rows["street"]) == {"解放路"}
    by_number = rows.set_index("house_number")
    assert by_number.loc["17", "community"] == "东门社区"
    assert by_number.loc["4"].geometry.distance(
        shapely.Point(117 + 0.002 / 3, 25)
    ) == pytest.approx(0, abs=1e-9)
    assert by_number.loc["21"].geometry.within(shapely.box(117.003, 25.001, 117.004, 25.002))
    assert [(one.row, one.code) for one in town.refused] == [
        ("node/5", "import.osm.plate_without_street")
    ]


def test_places_are_named_and_of_a_kind(tmp_path: Path) -> None:
    town = read(
        tmp_path,
        node(1, amenity="marketplace", name="东门市场", name__en="East Gate Market"),
        node(2, amenity="toilets"),
        node(3, highway="crossing", name="无"),
        way(1, [8, 9, 10, 11, 8], leisure="park", name="人民公园"),
        way(2, [4, 5], highway="residential", bridge="yes", bridge__name="红星桥"),
    )
    assert town.places.set_index("name")["kind"].to_dict() == {
        "东门市场": "market",
        "人民公园": "park",
        "红星桥": "bridge",
    }
    kinds = town.places.set_index("name").geometry.geom_type.to_dict()
    assert kinds == {"东门市场": "Point", "人民公园": "Polygon", "红星桥": "Point"}
    assert town.places["names"].tolist()[0] == {"en": "East Gate Market"}
    assert kind_of({"building": "no"}) is None


def test_boundaries_are_put_together_and_broken_ones_reported(tmp_path: Path) -> None:
    town = read(
        tmp_path,
        way(1, [8, 9, 10]),
        way(2, [10, 11, 8]),
        way(3, [1, 2, 99]),
        boundary(1, [1, 2], name="东门社区", admin_level="10", ref="001"),
        boundary(2, [3], name="城关镇", admin_level="8"),
        boundary(3, [1, 2], name="某省", admin_level="4"),
    )
    assert town.boundaries[["name", "level", "code"]].values.tolist() == [
        ["东门社区", "community", "001"]
    ]
    expected = shapely.box(117.003, 25.001, 117.004, 25.002)
    assert town.boundaries.geometry[0].equals(expected)
    assert [(one.row, one.code, one.values) for one in town.refused] == [
        ("relation/2", "import.osm.area_broken", {"name": "城关镇"})
    ]


def test_empty_and_unreadable_files(tmp_path: Path) -> None:
    empty = read(tmp_path)
    assert len(empty.streets) == len(empty.places) == len(empty.boundaries) == 0
    assert cut(empty.streets).segments.empty
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(b"no protocol buffer at all")
    with pytest.raises(BadInput) as trouble:
        read_osm(broken)
    assert trouble.value.code == "import.unreadable"
    with pytest.raises(NotFound) as missing:
        read_osm(tmp_path / "none.osm")
    assert missing.value.code == "import.file_missing"


def test_progress_is_told(tmp_path: Path) -> None:
    path = tmp_path / "town.osm"
    path.write_text(xml(way(1, [1, 2], highway="residential")), encoding="utf-8")
    told: list[tuple[str, int]] = []
    read_osm(path, progress=lambda stage, done: told.append((stage, done)))
    assert told
    assert told[0] == ("objects", 0)
