"""Whatever the network: exactly N connected, non-empty grids, each segment in one, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.division import Division, SegmentNetwork, divide


@dataclass(frozen=True)
class Case:
    network: SegmentNetwork
    grids: int
    seed: int


@st.composite
def towns(draw: st.DrawFn, islands: bool = False) -> Case:
    """A lattice with streets missing, planar and (unless islands) connected; weights from zero to heavy."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    wide, tall = draw(st.integers(2, 9)), draw(st.integers(1, 9))
    node = np.arange(wide * tall).reshape(tall, wide)
    ends = np.concatenate(
        [
            np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1),
            np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1),
        ]
    )
    rng.shuffle(ends)
    root = list(range(wide * tall))

    def find(a: int) -> int:
        while root[a] != a:
            a = root[a]
        return a

    share = draw(st.floats(0.0, 0.9))
    chosen = []
    for a, b in ends.tolist():
        joins = find(a) != find(b)
        if rng.random() < share or (joins and not islands):
            chosen.append((a, b))
            root[find(a)] = find(b)
    if not chosen:
        chosen.append(tuple(ends[0].tolist()))
    pairs = np.array(chosen)
    size = len(pairs)
    x, y = 100.0 * (pairs % wide).mean(axis=1), 100.0 * (pairs // wide).mean(axis=1)
    length = rng.uniform(5.0, 200.0, size)
    kind = draw(st.sampled_from(["length", "even", "incidents", "one heavy"]))
    weight = {
        "length": length,
        "even": np.ones(size),
        "incidents": rng.poisson(0.7, size) + np.eye(1, size)[0],
        "one heavy": np.where(np.arange(size) == size // 2, 50.0, 1.0),
    }[kind]
    network = SegmentNetwork(
        segment_ids=rng.permutation(size) + 1,
        from_node=pairs[:, 0],
        to_node=pairs[:, 1],
        weight=weight,
        length_m=length,
        street=rng.integers(-1, max(1, size // 5), size),
        x_m=x,
        y_m=y,
    )
    grids = draw(st.integers(1, size))
    return Case(network, grids, draw(st.integers(0, 1000)))


def is_connected(network: SegmentNetwork, rows: np.ndarray, links: np.ndarray) -> bool:
    """By a search of its own over crossings and links, independent of the code under test."""
    ids = {int(network.segment_ids[r]) for r in rows}
    at: dict[object, list[int]] = {}
    for r in rows.tolist():
        name = int(network.segment_ids[r])
        for end in {int(network.from_node[r]), int(network.to_node[r])}:
            at.setdefault(("crossing", end), []).append(name)
    for number, (a, b) in enumerate(links.tolist()):
        if a in ids and b in ids:
            at[("link", number)] = [a, b]
    of: dict[int, list[object]] = {}
    for place, names in at.items():
        for name in names:
            of.setdefault(name, []).append(place)
    queue = [next(iter(ids))]
    seen = set(queue)
    while queue:
        for place in of[queue.pop()]:
            for name in at[place]:
                if name not in seen:
                    seen.add(name)
                    queue.append(name)
    return seen == ids


def assert_valid(case: Case, division: Division) -> None:
    labels = division.labels
    assert labels.shape == (len(case.network),)
    assert len(np.unique(labels)) == case.grids
    assert (labels >= 0).all()
    for label in np.unique(labels):
        assert is_connected(case.network, np.flatnonzero(labels == label), division.links)
    figures = division.figures
    assert figures.connected == case.grids
    weights = np.array([case.network.weight[labels == g].sum() for g in figures.grid_labels])
    np.testing.assert_allclose(figures.weight, weights)
    assert figures.balance == np.max(weights) / weights.mean() or np.isclose(
        figures.balance, weights.max() / weights.mean()
    )
    assert division.ceiling_met == (figures.balance <= division.ceiling + 1e-9)


@settings(max_examples=60, deadline=None)
@given(towns())
def test_connected_towns(case: Case) -> None:
    division = divide(case.network, case.grids, seed=case.seed)
    assert_valid(case, division)
    assert sorted(np.unique(division.labels)) == list(range(case.grids))
    assert len(division.links) == 0


@settings(max_examples=60, deadline=None)
@given(towns(islands=True))
def test_towns_in_pieces(case: Case) -> None:
    division = divide(case.network, case.grids, seed=case.seed)
    assert_valid(case, division)
    # Links only where no way exists: as many as components that lost their independence, never a ring.
    assert len(division.links) < len(case.network)


@settings(max_examples=40, deadline=None)
@given(towns(islands=True), st.integers(1, 6), st.data())
def test_keeping_any_division(case: Case, old: int, data: st.DataObject) -> None:
    size = len(case.network)
    in_force = np.array(data.draw(st.lists(st.integers(-1, old), min_size=size, max_size=size)))
    in_force[0] = 2
    division = divide(case.network, case.grids, seed=case.seed, in_force=in_force, keep=True)
    assert_valid(case, division)
    share = division.figures.moved_length_share
    assert share is not None
    assert 0.0 <= share <= 1.0


@settings(max_examples=25, deadline=None)
@given(towns())
def test_grids_that_stay_keep_their_ground(case: Case) -> None:
    before = divide(case.network, case.grids, seed=case.seed)
    same = divide(
        case.network,
        case.grids,
        in_force=before.labels,
        keep=True,
        ceiling=before.figures.balance + 1e-6,
        floor=0.0,
    )
    assert (same.labels == before.labels).all()
    assert same.figures.moved_length_share == 0.0


@settings(max_examples=25, deadline=None)
@given(towns(islands=True), st.integers(1, 4))
def test_inside_communities(case: Case, communities: int) -> None:
    column = np.minimum(
        (case.network.x_m / (case.network.x_m.max() + 1) * communities).astype(np.int64),
        communities - 1,
    )
    within = np.unique(column, return_inverse=True)[1]
    network = case.network
    bounded = SegmentNetwork(
        network.segment_ids,
        network.from_node,
        network.to_node,
        network.weight,
        network.length_m,
        network.street,
        network.x_m,
        network.y_m,
        within,
    )
    grids = max(case.grids, int(within.max()) + 1)
    division = divide(bounded, grids, seed=case.seed)
    assert_valid(Case(bounded, grids, case.seed), division)
    for label in range(grids):
        assert len(np.unique(within[division.labels == label])) == 1


@settings(max_examples=15, deadline=None)
@given(towns(islands=True))
def test_the_same_seed_gives_the_same_labels(case: Case) -> None:
    once = divide(case.network, case.grids, seed=case.seed)
    again = divide(case.network, case.grids, seed=case.seed)
    assert (once.labels == again.labels).all()
    assert (once.links == again.links).all()
