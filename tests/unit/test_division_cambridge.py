"""The real streets of Cambridge, Massachusetts, in 40 grids, against METIS alone; then one grid more, one less."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pymetis
import pytest
from pyproj import Geod, Transformer

from grid.division import Division, SegmentNetwork, disconnected, divide, figures_of, name_grids
from tests.unit.test_division_properties import is_connected

GRIDS = 40


def cambridge_streets(folder: Path) -> tuple[SegmentNetwork, dict[int, str]]:
    """The centre lines as a network: ends by coordinate (as the city's node numbers), geodesic metres, UTM 19N."""
    features = json.loads((folder / "us-cambridge" / "street-centerlines.geojson").read_text())
    geod = Geod(ellps="GRS80")
    to_plane = Transformer.from_crs(4326, 32619, always_xy=True)
    nodes: dict[tuple[float, float], int] = {}
    streets: dict[str, int] = {}
    rows: list[tuple[int, int, float, int, float, float]] = []
    for feature in features["features"]:
        shape = feature["geometry"]
        lines = [shape["coordinates"]] if shape["type"] == "LineString" else shape["coordinates"]
        line = np.array([point[:2] for part in lines for point in part])
        ends = [nodes.setdefault((float(a), float(b)), len(nodes)) for a, b in (line[0], line[-1])]
        x, y = to_plane.transform(line[:, 0], line[:, 1])
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        rows.append(
            (
                *ends,
                geod.line_length(line[:, 0], line[:, 1]),
                streets.setdefault(feature["properties"]["Street"], len(streets)),
                float(np.interp(along[-1] / 2, along, x)),
                float(np.interp(along[-1] / 2, along, y)),
            )
        )
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    network = SegmentNetwork(
        segment_ids=np.arange(1, len(rows) + 1),
        from_node=columns[0],
        to_node=columns[1],
        weight=columns[2],
        length_m=columns[2],
        street=columns[3],
        x_m=columns[4],
        y_m=columns[5],
    )
    return network, {number: name for name, number in streets.items()}


def metis_by_itself(network: SegmentNetwork, grids: int, links: np.ndarray) -> np.ndarray:
    """pymetis as anyone would call it: segment adjacency, length in decimetres, contiguous k-way."""
    at: dict[int, set[int]] = {}
    for row, ends in enumerate(zip(network.from_node, network.to_node, strict=True)):
        for end in ends:
            at.setdefault(int(end), set()).add(row)
    near: list[set[int]] = [set() for _ in range(len(network))]
    row_of = {int(name): row for row, name in enumerate(network.segment_ids)}
    meetings = [*at.values(), *({row_of[int(a)], row_of[int(b)]} for a, b in links)]
    for rows in meetings:
        for row in rows:
            near[row] |= rows - {row}
    _, labels = pymetis.part_graph(
        grids,
        adjacency=[sorted(rows) for rows in near],
        vweights=np.rint(network.weight * 10).astype(int).tolist(),
        options=pymetis.Options(contig=1),
        recursive=False,
    )
    return np.array(labels)


@pytest.fixture(scope="module")
def town(shared_data: Path) -> tuple[SegmentNetwork, dict[int, str]]:
    return cambridge_streets(shared_data)


@pytest.fixture(scope="module")
def forty(town: tuple[SegmentNetwork, dict[int, str]]) -> Division:
    return divide(town[0], GRIDS)


def test_forty_grids_connected_and_balanced(
    town: tuple[SegmentNetwork, dict[int, str]], forty: Division
) -> None:
    network = town[0]
    assert len(network) == 2643
    assert sorted(set(forty.labels.tolist())) == list(range(GRIDS))
    for label in range(GRIDS):
        rows = np.flatnonzero(forty.labels == label)
        assert is_connected(network, rows, forty.links)
    lengths = [network.length_m[forty.labels == label].sum() for label in range(GRIDS)]
    assert max(lengths) / np.mean(lengths) <= 1.03
    assert forty.ceiling_met
    # The town hangs together but for a few stray lines.
    assert len(forty.links) <= 3


def test_better_than_metis_alone(
    town: tuple[SegmentNetwork, dict[int, str]], forty: Division
) -> None:
    network = town[0]
    alone = figures_of(network, metis_by_itself(network, GRIDS, forty.links), forty.links)
    assert forty.figures.balance <= alone.balance
    assert forty.figures.cut_streets < alone.cut_streets
    assert forty.figures.street_pieces < alone.street_pieces
    assert forty.figures.compactness > alone.compactness


@pytest.mark.parametrize("grids", [39, 41])
def test_one_grid_more_or_less_moves_little(
    town: tuple[SegmentNetwork, dict[int, str]], forty: Division, grids: int
) -> None:
    network = town[0]
    after = divide(network, grids, in_force=forty.labels, keep=True)
    moved = network.length_m[after.labels != forty.labels].sum() / network.length_m.sum()
    assert moved <= 0.10
    assert after.figures.moved_length_share == pytest.approx(moved)
    assert after.figures.balance <= 1.05
    assert len(disconnected(network, after.labels, after.links)) == 0
    stay = set(after.labels.tolist()) & set(range(GRIDS))
    assert len(stay) == min(grids, GRIDS)
    assert set(after.labels.tolist()) - stay == ({GRIDS} if grids > GRIDS else set())


def test_names_are_real_streets_and_unique(
    town: tuple[SegmentNetwork, dict[int, str]], forty: Division
) -> None:
    network, streets = town
    named = name_grids(network, forty.labels, streets, None, "en")
    assert [grid.code for grid in named] == [f"G{number:03d}" for number in range(1, GRIDS + 1)]
    assert len({grid.name for grid in named}) == GRIDS
    for grid in named:
        first = grid.name.split(" & ")[0].split(" (")[0]
        inside = network.street[forty.labels == grid.label]
        assert first in {streets[street] for street in inside.tolist()}
