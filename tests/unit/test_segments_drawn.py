"""Streets drawn in letters, and what cutting must make of them."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from grid.core.crs import GEOD
from grid.segments import Segmentation, cut
from grid.sources.base import RANGE_COLUMNS

STEP = 0.001  # degrees between two letters: about 111 m north, 79 m east at 45 N


def drawn(text: str) -> dict[str, tuple[float, float]]:
    """Letters of a drawing as lon/lat, the first row in the north; one column or row is STEP."""
    rows = [line for line in text.splitlines() if line.strip()]
    indent = min(len(line) - len(line.lstrip()) for line in rows)
    return {
        letter: (round(10 + column * STEP, 7), round(45 - row * STEP, 7))
        for row, line in enumerate(rows)
        for column, letter in enumerate(line[indent:])
        if letter.isalpha()
    }


def streets(places: dict[str, tuple[float, float]], *lines: Any, nodes: bool = True) -> Any:
    """Street lines from ("ABC", {column: value}) or "ABC"; letters are shared nodes."""
    rows = []
    for number, line in enumerate(lines, start=1):
        letters, said = (line, {}) if isinstance(line, str) else line
        rows.append(
            {
                "source_key": f"osm:way/{number}",
                "name": "One",
                "names": {},
                "class_": "residential",
                "oneway": "no",
                "level": 0,
                "form": "single",
                **dict.fromkeys(RANGE_COLUMNS),
                "node_ids": [ord(letter) for letter in letters] if nodes else None,
                "geometry": shapely.LineString([places[letter] for letter in letters]),
                **said,
            }
        )
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=4326)
    for column in RANGE_COLUMNS:
        frame[column] = pd.array(frame[column].tolist(), dtype="Int64")
    return frame


def drawn_segments(found: Segmentation, places: dict[str, tuple[float, float]]) -> list[str]:
    letter = {place: name for name, place in places.items()}
    return [
        "".join(letter.get((round(x, 7), round(y, 7)), "*") for x, y in line.coords)
        for line in found.segments.geometry
    ]


CROSS = drawn("""
    .B.
    AXC
    .D.
""")


def test_a_shared_node_cuts_both_streets() -> None:
    found = cut(streets(CROSS, ("AXC", {"name": "East"}), ("BXD", {"name": "North"})))
    assert drawn_segments(found, CROSS) == ["AX", "XC", "BX", "XD"]
    assert found.segments["source_key"].tolist() == [
        "osm:way/1:0",
        "osm:way/1:1",
        "osm:way/2:0",
        "osm:way/2:1",
    ]
    middle = found.segments["to_node"][0]
    assert found.segments[["from_node", "to_node"]].to_numpy().tolist() == [
        [0, middle],
        [middle, 2],
        [3, middle],
        [middle, 4],
    ]
    assert found.crossings.loc[middle, "source_key"] == f"osm:node/{ord('X')}"
    assert len(found.crossings) == 5


def test_a_bridge_over_a_road_is_no_crossing() -> None:
    found = cut(streets(CROSS, "AC", ("BD", {"level": 1})))
    assert drawn_segments(found, CROSS) == ["AC", "BD"]
    assert found.crossed_without_node.empty


def test_a_crossing_without_node_on_the_ground_is_cut_and_reported() -> None:
    found = cut(streets(CROSS, "AC", ("BD", {"name": "Two"})))
    assert drawn_segments(found, CROSS) == ["AX", "XC", "BX", "XD"]
    assert found.crossed_without_node[
        ["first", "second", "level", "resolution"]
    ].values.tolist() == [["osm:way/1", "osm:way/2", 0, "cut"]]


def test_two_bridges_that_cross_without_node_get_levels_apart() -> None:
    up = cut(streets(CROSS, ("AC", {"level": 1}), ("BD", {"level": 1})))
    assert drawn_segments(up, CROSS) == ["AC", "BD"]
    assert up.segments["level"].tolist() == [1, 2]
    down = cut(streets(CROSS, ("AC", {"level": -1}), ("BD", {"level": -1})))
    assert down.segments["level"].tolist() == [-1, -2]
    assert down.crossed_without_node["resolution"].tolist() == ["levels_apart"]


ROW = drawn("A.B.C.D")


def test_ways_of_one_street_are_joined_where_only_they_meet() -> None:
    found = cut(streets(ROW, "AB", "BC", "CD"))
    assert drawn_segments(found, ROW) == ["ABCD"]
    assert found.segments["source_key"].tolist() == ["osm:way/1:0"]


def test_a_way_drawn_the_other_way_round_is_turned_when_joined() -> None:
    assert drawn_segments(cut(streets(ROW, "AB", "CB", "CD")), ROW) == ["ABCD"]
    assert drawn_segments(cut(streets(ROW, "BA", "BC")), ROW) == ["CBA"]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "Two"},
        {"name": None},
        {"class_": "service"},
        {"form": "dual"},
        {"level": 1},
        {"oneway": "forward"},
        {"left_from": 1, "left_to": 9},
    ],
)
def test_what_differs_is_not_joined(other: dict[str, object]) -> None:
    assert drawn_segments(cut(streets(ROW, "AB", ("BC", other))), ROW) == ["AB", "BC"]


def test_one_way_streets_are_joined_only_along_one_direction() -> None:
    forward, backward = {"oneway": "forward"}, {"oneway": "backward"}
    assert drawn_segments(cut(streets(ROW, ("AB", forward), ("BC", forward))), ROW) == ["ABC"]
    assert drawn_segments(cut(streets(ROW, ("AB", forward), ("CB", backward))), ROW) == ["ABC"]
    assert drawn_segments(cut(streets(ROW, ("AB", forward), ("CB", forward))), ROW) == ["AB", "CB"]


def test_unnamed_ways_are_joined_and_names_gathered() -> None:
    unnamed = {"name": None}
    assert drawn_segments(cut(streets(ROW, ("AB", unnamed), ("BC", unnamed))), ROW) == ["ABC"]
    first, second = {"names": {"en": "One"}}, {"names": {"en": "Uno", "sv": "Ett"}}
    joined = cut(streets(ROW, ("AB", first), ("BC", second))).segments["names"].tolist()
    assert joined == [{"en": "One", "sv": "Ett"}]


def test_rows_are_not_joined_without_merge() -> None:
    assert drawn_segments(cut(streets(ROW, "AB", "BC"), merge=False), ROW) == ["AB", "BC"]


ROUND = drawn("""
    ..A...
    ..N...
    .W.E.B
    ..S...
""")


def test_a_roundabout_is_cut_where_streets_enter() -> None:
    ring = {"name": "Ring", "form": "roundabout", "oneway": "forward"}
    found = cut(streets(ROUND, ("WSENW", ring), "AN", "EB"))
    # W is only where the ring was begun: no crossing.
    assert drawn_segments(found, ROUND) == ["NWSE", "EN", "AN", "EB"]


def test_a_ring_without_crossings_is_one_segment_to_itself() -> None:
    found = cut(streets(ROUND, "WS", "SE", "ENW"))
    assert drawn_segments(found, ROUND) == ["WSENW"]
    assert found.segments["from_node"].tolist() == found.segments["to_node"].tolist()


def test_a_line_that_crosses_itself_is_cut_there() -> None:
    eight = drawn("""
        A.C
        ...
        D.B
    """)
    found = cut(streets(eight, "ABCD"))
    # A→B and C→D cross in the middle (*).
    assert drawn_segments(found, eight) == ["A*", "*BC*", "*D"]


TEE = drawn("""
    A.X.C
    .....
    ..D..
""")


def test_an_end_drawn_to_the_line_without_vertex_meets_it() -> None:
    near = {**TEE, "Y": (TEE["X"][0], TEE["X"][1] - 2e-6)}  # 0.2 m short
    found = cut(streets(near, "AC", "DY", nodes=False), merge=False, keep_rows=False)
    assert drawn_segments(found, near) == ["AY", "YC", "DY"]
    far = {**TEE, "Y": (TEE["X"][0], TEE["X"][1] - 5e-6)}  # 0.55 m short
    found = cut(streets(far, "AC", "DY", nodes=False), merge=False, keep_rows=False)
    assert drawn_segments(found, far) == ["AC", "DY"]


def test_an_end_under_a_bridge_does_not_meet_it() -> None:
    found = cut(streets(TEE, ("AC", {"level": 1}), "DX", nodes=False), merge=False, keep_rows=False)
    assert drawn_segments(found, TEE) == ["AC", "DX"]


def test_an_end_that_overshoots_leaves_no_stub() -> None:
    over = {**TEE, "Y": (TEE["X"][0], TEE["X"][1] + 1e-6)}  # 0.11 m past the line
    for nodes in (True, False):
        found = cut(streets(over, "AC", "DY", nodes=nodes), keep_rows=False)
        assert drawn_segments(found, over) == ["AY", "YC", "DY"]


def test_file_lines_meet_at_shared_vertices_of_one_level() -> None:
    flat = cut(streets(CROSS, "AXC", "BXD", nodes=False), merge=False, keep_rows=False)
    assert drawn_segments(flat, CROSS) == ["AX", "XC", "BX", "XD"]
    bridge = streets(CROSS, "AXC", ("BXD", {"level": 1}), nodes=False)
    assert drawn_segments(cut(bridge, merge=False), CROSS) == ["AXC", "BXD"]


def test_a_file_cut_already_keeps_its_rows() -> None:
    # 50 streets in a row, each with its own side street: cut already, but for one T-junction.
    lines, spots = [], {}
    for k in range(50):
        spots |= {f"{k}a": (10 + k * STEP, 45.0), f"{k}b": (10 + k * STEP, 45.001)}
    for k in range(49):
        lines.append([spots[f"{k}a"], spots[f"{k + 1}a"]])
        lines.append([spots[f"{k}a"], spots[f"{k}b"]])
    lines.append([(10.0004, 45.0), (10.0004, 44.999)])
    letters = {chr(1000 + n): place for n, place in enumerate({p for line in lines for p in line})}
    of = {place: letter for letter, place in letters.items()}
    frame = streets(letters, *(of[a] + of[b] for a, b in lines), nodes=False)
    kept = cut(frame, merge=False, keep_rows=True)
    assert len(kept.segments) == len(frame)
    touch = kept.touches.iloc[0]
    assert len(kept.touches) == 1
    assert touch["segment"] == 0
    _, _, expected_m = GEOD.inv(10.0, 45.0, 10.0004, 45.0)
    assert touch["along_m"] == pytest.approx(expected_m, abs=0.01)
    assert len(cut(frame, merge=False, keep_rows=False).segments) == len(frame) + 1


def test_flyovers_in_kept_rows_move_the_shorter_row_up() -> None:
    long = {**CROSS, "A": (9.99, CROSS["A"][1])}
    found = cut(streets(long, "AC", "BD", nodes=False), merge=False, keep_rows=True)
    assert found.segments["level"].tolist() == [0, 1]
    assert found.crossed_without_node["resolution"].tolist() == ["levels_apart"]


def test_ranges_are_shared_out_by_length_with_parity() -> None:
    places = drawn("""
        ..B........
        A.X.......C
    """)
    ranged = {"left_from": 1, "left_to": 19, "right_from": 20, "right_to": 2}
    found = cut(streets(places, ("AXC", ranged), "BX"), merge=False)
    rows = found.segments[list(RANGE_COLUMNS)].astype(object).values.tolist()
    # X lies at one fifth: two of ten numbers on each side.
    assert rows[:2] == [[1, 3, 20, 18], [5, 19, 16, 2]]
    assert all(value is pd.NA for value in rows[2])


def test_lengths_are_geodesic_metres() -> None:
    found = cut(streets(ROW, "AB"))
    _, _, expected_m = GEOD.inv(*ROW["A"], *ROW["B"])
    assert found.segments["length_m"].tolist() == [pytest.approx(expected_m)]


def test_no_streets_give_empty_frames() -> None:
    found = cut(streets(ROW, "AB").iloc[:0])
    assert found.segments.empty
    assert found.crossings.empty


def test_the_same_streets_give_the_same_segments() -> None:
    frame = streets(CROSS, "AC", ("BD", {"name": "Two"}), "AB", "CD")
    one, two = cut(frame), cut(frame)
    assert one.segments.to_wkb().equals(two.segments.to_wkb())
    assert np.array_equal(one.crossings.index, two.crossings.index)
