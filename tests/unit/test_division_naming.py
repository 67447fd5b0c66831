"""Codes in reading order and names that people recognise, on a hand-made town."""

from __future__ import annotations

import numpy as np

from grid.division import GridName, SegmentNetwork, name_grids, reading_order


def quarters(side: int = 2, street: list[int] | None = None) -> tuple[SegmentNetwork, np.ndarray]:
    """side x side grids of two segments each; label 0 is the south-west, counted upward row by row."""
    count = side * side
    row = np.repeat(np.arange(count), 2)
    network = SegmentNetwork(
        segment_ids=np.arange(2 * count),
        from_node=np.arange(2 * count),
        to_node=np.arange(2 * count) + 1,
        weight=np.ones(2 * count),
        length_m=np.tile([200.0, 100.0], count),
        street=np.array(street if street is not None else list(range(2 * count))),
        x_m=1000.0 * (row % side),
        y_m=1000.0 * (row // side),
    )
    return network, row


def test_codes_run_from_north_to_south_and_west_to_east() -> None:
    network, labels = quarters(3)
    assert reading_order(network, labels) == [6, 7, 8, 3, 4, 5, 0, 1, 2]
    named = name_grids(network, labels, {}, None, "en")
    assert [(grid.code, grid.label) for grid in named][:4] == [
        ("G001", 6),
        ("G002", 7),
        ("G003", 8),
        ("G004", 3),
    ]


def test_a_town_along_one_road_is_read_from_west_to_east() -> None:
    network, labels = quarters(2)
    flat = SegmentNetwork(
        network.segment_ids,
        network.from_node,
        network.to_node,
        network.weight,
        network.length_m,
        network.street,
        1000.0 * labels[::-1],
        np.where(labels % 2 == 0, 3.0, -3.0),
    )
    assert reading_order(flat, labels) == [3, 2, 1, 0]


def test_community_and_longest_street() -> None:
    network, labels = quarters()
    streets = {0: "永胜路", 1: "小巷", 2: "人民路", 3: "解放路", 4: "北大街", 6: "学府路"}
    communities = ["城东社区"] * 4 + ["城西社区"] * 2 + [None, None]
    named = {g.label: g.name for g in name_grids(network, labels, streets, communities, "zh")}
    assert named == {
        0: "城东社区·永胜路片",
        1: "城东社区·人民路片",
        2: "城西社区·北大街片",
        3: "学府路片",
    }
    english = name_grids(network, labels, {0: "Broadway"}, ["Cambridgeport"] * 8, "en")
    assert {g.label: g.name for g in english}[0] == "Cambridgeport · Broadway"


def test_the_second_street_tells_two_grids_apart() -> None:
    network, labels = quarters(2, [0, 1, 0, 2, 3, -1, 4, -1])
    streets = {0: "Broadway", 1: "Elm St", 2: "Oak St", 3: "Main St", 4: "High St"}
    named = {g.label: g.name for g in name_grids(network, labels, streets, None, "en")}
    assert named == {
        0: "Broadway & Elm St",
        1: "Broadway & Oak St",
        2: "Main St",
        3: "High St",
    }


def test_sides_of_the_world_then_numbers_tell_the_rest_apart() -> None:
    network, labels = quarters(2, [0, 0, 0, 0, 1, 1, 2, 2])
    streets = {0: "永胜路", 1: "北大街", 2: "学府路"}
    named = {g.label: g.name for g in name_grids(network, labels, streets, None, "zh")}
    assert named == {0: "永胜路片（西）", 1: "永胜路片（东）", 2: "北大街片", 3: "学府路片"}
    network, labels = quarters(2, [0] * 8)
    same = [g.name for g in name_grids(network, labels, {0: "Broadway"}, None, "en")]
    assert same == ["Broadway", "Broadway (2)", "Broadway (3)", "Broadway (4)"]


def test_a_grid_without_any_name_is_called_by_its_number() -> None:
    network, labels = quarters(2, [-1] * 8)
    assert [g.name for g in name_grids(network, labels, {}, None, "zh")] == [
        "第1网格",
        "第2网格",
        "第3网格",
        "第4网格",
    ]
    assert name_grids(network, labels, {}, None, "en")[2].name == "Grid 3"


def test_grids_in_force_keep_code_and_name() -> None:
    network, labels = quarters()
    streets = {0: "Broadway", 2: "Main St", 4: "Elm St", 6: "High St"}
    kept = {2: GridName(2, "G007", "High St"), 1: GridName(1, "G002", "The Market")}
    named = {
        g.label: (g.code, g.name) for g in name_grids(network, labels, streets, None, "en", kept)
    }
    assert named[2] == ("G007", "High St")
    assert named[1] == ("G002", "The Market")
    # Reading order 2, 3, 0, 1: grid 3 takes the first free code, and another name than the one in use.
    assert named[3] == ("G001", "High St (2)")
    assert named[0] == ("G003", "Broadway")


def test_rows_without_a_grid_are_left_out() -> None:
    network, labels = quarters()
    labels = np.where(labels == 3, -1, labels)
    assert {g.label for g in name_grids(network, labels, {}, None, "en")} == {0, 1, 2}
