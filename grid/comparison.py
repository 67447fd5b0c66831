"""Two street networks compared, segment by segment: what stayed the same street between the same ends.

The rule, in this order; a segment that is settled takes no part in what follows. "Its street" is the
same name; a line of another name counts only where it lies on the very line (within `SAME_M`).

1. unchanged, reversed: its street, and both ends and the quarter points within `SAME_M`; reversed when
   drawn in the other direction.
2. moved, reversed, renamed: both ends within `END_M`, and at least `SHARE` of each of the two lines
   runs within `NEAR_M` of the other; renamed when the name is another.
3. split: two or more new segments, each with at least `SHARE` of its length on the old one, which they
   cover by at least `SHARE`.
4. merged: the same with old and new exchanged.
5. moved with an end that slid along the street: as 2, without the condition on the ends.
6. What is left is gone or new. A new one that lies with at least `HEIR_SHARE` of its length on segments
   that are gone is their heir.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from grid.shared_stretch import shared_stretch

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Objects = NDArray[np.object_]

SAME_M = 1.0
END_M = 5.0
NEAR_M = 10.0
SHARE = 0.8
HEIR_SHARE = 0.5
# What a lesser likeness costs, in metres of distance, where one segment has several candidates.
TURNED_COSTS_M = 5.0
OTHER_LEVEL_COSTS_M = 20.0
OTHER_NAME_COSTS_M = 100.0

KINDS = ("unchanged", "moved", "reversed", "renamed", "split", "merged", "new", "gone")
KEEPING = ("unchanged", "moved", "reversed", "renamed")


@dataclass(frozen=True, slots=True)
class Lines:
    """One side of a comparison: names (None = unnamed), levels, and lines in the plane (metres)."""

    names: Objects
    levels: Ints
    lines: Objects

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of every old segment and where every new one comes from.

    old_kind (O,), new_kind (N,): one of KINDS each; old never "merged" by its own split and so on: a split
    names the old one and all its pieces, a merge the new one and all its parts.
    kept (N,): the old segment that a new one is, -1 for none; turned (N,): it is drawn the other way.
    heirs: columns old, new (positions), shared_m, turned: who takes over from whom without being the same.
    """

    old_kind: Objects
    new_kind: Objects
    kept: Ints
    turned: NDArray[np.bool_]
    heirs: pd.DataFrame


@dataclass(slots=True)
class _State:
    """What is settled so far."""

    old: Lines
    new: Lines
    old_kind: Objects
    new_kind: Objects
    kept: Ints
    turned: NDArray[np.bool_]

    def open(self, old: Ints, new: Ints) -> NDArray[np.bool_]:
        """Pairs of which neither is settled."""
        return np.asarray((self.old_kind[old] == "gone") & (self.new_kind[new] == "new"))

    def keep(self, pairs: pd.DataFrame, kind: Objects, cost: Floats) -> None:
        """Settles pairs one to one, the cheapest first; equal costs go by position."""
        order = np.lexsort((pairs["new"], pairs["old"], cost))
        columns = (pairs["old"].to_numpy(), pairs["new"].to_numpy(), pairs["turned"].to_numpy())
        old_rows, new_rows, turned = (column[order].tolist() for column in columns)
        for old, new, back, name in zip(old_rows, new_rows, turned, kind[order], strict=True):
            if self.old_kind[old] == "gone" and self.new_kind[new] == "new":
                self.old_kind[old] = self.new_kind[new] = name
                self.kept[new], self.turned[new] = old, back


def compare(old: Lines, new: Lines) -> Comparison:
    """Classifies every segment of both networks exactly once, by the rule at the head of this file."""
    state = _State(
        old,
        new,
        np.full(len(old), "gone", dtype=object),
        np.full(len(new), "new", dtype=object),
        np.full(len(new), -1, dtype=np.int64),
        np.zeros(len(new), dtype=bool),
    )
    heirs = [_no_heirs()]
    if len(old) and len(new):
        pairs = _by_ends(state)
        _same_line(state, pairs)
        _same_ends(state, pairs)
        lying = _lying_on(state)
        heirs.append(_parted(state, lying, "old", "new", "split"))
        heirs.append(_parted(state, lying, "new", "old", "merged"))
        _slid_ends(state, lying)
        heirs.append(_heirs_of_gone(state, lying))
    return Comparison(
        state.old_kind,
        state.new_kind,
        state.kept,
        state.turned,
        pd.concat(heirs, ignore_index=True),
    )


def _by_ends(state: _State) -> pd.DataFrame:
    """Pairs whose two ends lie within END_M, drawn the same way or the other: old, new, turned, names."""
    old_ends, new_ends = _ends(state.old.lines), _ends(state.new.lines)
    tree = cKDTree(old_ends)
    found: list[pd.DataFrame] = []
    for turned, ends in ((False, new_ends), (True, new_ends[:, [2, 3, 0, 1]])):
        near = tree.sparse_distance_matrix(
            cKDTree(ends), END_M * np.sqrt(2.0), output_type="ndarray"
        )
        rows, columns = near["i"].astype(np.int64), near["j"].astype(np.int64)
        gap = (old_ends[rows] - ends[columns]).reshape(-1, 2, 2)
        fits = (np.hypot(gap[..., 0], gap[..., 1]) <= END_M).all(axis=1)
        found.append(pd.DataFrame({"old": rows[fits], "new": columns[fits], "turned": turned}))
    return _with_names(state, pd.concat(found, ignore_index=True))


def _ends(lines: Objects) -> Floats:
    """(L, 4) plane coordinates of the two ends."""
    return np.hstack(
        [shapely.get_coordinates(shapely.get_point(lines, at)) for at in (0, -1)]
    ).astype(np.float64)


def _with_names(state: _State, pairs: pd.DataFrame) -> pd.DataFrame:
    old, new = pairs["old"].to_numpy(), pairs["new"].to_numpy()
    names = pd.factorize(np.concatenate([state.old.names, state.new.names]), use_na_sentinel=True)[
        0
    ]
    same_name = names[: len(state.old)][old] == names[len(state.old) :][new]
    same_level = state.old.levels[old] == state.new.levels[new]
    lesser = (~same_name) * OTHER_NAME_COSTS_M + (~same_level) * OTHER_LEVEL_COSTS_M
    return pairs.assign(same_name=same_name, lesser_m=lesser)


def _same_line(state: _State, pairs: pd.DataFrame) -> None:
    """Step 1."""
    named = pairs[pairs["same_name"]]
    quarters = np.linspace(0.0, 1.0, 5)
    apart = np.zeros(len(named))
    new_lines = state.new.lines[named["new"].to_numpy()]
    new_lines = np.where(named["turned"], shapely.reverse(new_lines), new_lines)
    old_lines = state.old.lines[named["old"].to_numpy()]
    for share in quarters:
        here = shapely.line_interpolate_point(old_lines, share, normalized=True)
        there = shapely.line_interpolate_point(new_lines, share, normalized=True)
        apart = np.maximum(apart, shapely.distance(here, there))
    fits = apart <= SAME_M
    named = named[fits]
    kind = np.where(named["turned"], "reversed", "unchanged").astype(object)
    cost = apart[fits] + named["lesser_m"] + named["turned"] * TURNED_COSTS_M
    state.keep(named, kind, cost.to_numpy())


def _same_ends(state: _State, pairs: pd.DataFrame) -> None:
    """Step 2."""
    left = pairs[state.open(pairs["old"].to_numpy(), pairs["new"].to_numpy())]
    # A short line has both directions among its candidates: the way it runs is measured, not assumed.
    measured = _measured(state, left.drop_duplicates(["old", "new"]))
    _keep_shared(state, measured[_whole(state, measured)])


def _slid_ends(state: _State, lying: pd.DataFrame) -> None:
    """Step 5."""
    left = lying[state.open(lying["old"].to_numpy(), lying["new"].to_numpy())]
    _keep_shared(state, left[_whole(state, left)])


def _keep_shared(state: _State, pairs: pd.DataFrame) -> None:
    kind = np.where(
        ~pairs["same_name"], "renamed", np.where(pairs["turned"], "reversed", "moved")
    ).astype(object)
    cost = pairs["apart_m"] + pairs["lesser_m"] + pairs["turned"] * TURNED_COSTS_M
    state.keep(pairs, kind, cost.to_numpy())


def _whole(state: _State, pairs: pd.DataFrame) -> NDArray[np.bool_]:
    """Pairs that share at least SHARE of both lines."""
    longer = np.maximum(pairs["old_m"].to_numpy(), pairs["new_m"].to_numpy())
    return np.asarray(pairs["shared_m"].to_numpy() >= SHARE * longer)


def _lying_on(state: _State) -> pd.DataFrame:
    """All pairs of unsettled segments that share a stretch: columns of `_measured`."""
    old = np.flatnonzero(state.old_kind == "gone")
    new = np.flatnonzero(state.new_kind == "new")
    west, south, east, north = shapely.bounds(state.new.lines[new]).T
    boxes = shapely.box(west - NEAR_M, south - NEAR_M, east + NEAR_M, north + NEAR_M)
    box, line = shapely.STRtree(state.old.lines[old]).query(boxes)
    pairs = pd.DataFrame({"old": old[line], "new": new[box], "turned": False})
    pairs = _with_names(state, pairs)
    near_m = np.where(pairs["same_name"], NEAR_M, SAME_M)
    close = shapely.dwithin(
        state.old.lines[pairs["old"].to_numpy()], state.new.lines[pairs["new"].to_numpy()], near_m
    )
    measured = _measured(state, pairs[close])
    return measured[measured["shared_m"] > 0]


def _measured(state: _State, pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs with shared_m, turned, apart_m as measured, and the lengths old_m, new_m."""
    old = state.old.lines[pairs["old"].to_numpy()]
    new = state.new.lines[pairs["new"].to_numpy()]
    shared = shared_stretch(old, new, np.where(pairs["same_name"], NEAR_M, SAME_M))
    return pairs.assign(
        shared_m=shared.metres,
        turned=shared.turned,
        apart_m=shared.apart_m,
        old_m=shapely.length(old),
        new_m=shapely.length(new),
    )


def _parted(state: _State, lying: pd.DataFrame, whole: str, part: str, kind: str) -> pd.DataFrame:
    """Steps 3 and 4: wholes that two or more parts cover; each part belongs to its best whole."""
    left = lying[state.open(lying["old"].to_numpy(), lying["new"].to_numpy())]
    pieces = left[left["shared_m"] >= SHARE * left[f"{part}_m"]]
    pieces = pieces.sort_values(
        ["lesser_m", "shared_m", "old", "new"], ascending=[True, False, True, True], kind="stable"
    ).drop_duplicates(part)
    groups = pieces.groupby(whole)
    count = groups[part].transform("size")
    covered = groups["shared_m"].transform("sum")
    pieces = pieces[(count >= 2) & (covered >= SHARE * pieces[f"{whole}_m"])]
    state.old_kind[pieces["old"].to_numpy()] = kind
    state.new_kind[pieces["new"].to_numpy()] = kind
    return _heirs(pieces.sort_values(["old", "new"]))


def _heirs_of_gone(state: _State, lying: pd.DataFrame) -> pd.DataFrame:
    """Step 6: new segments that lie by half or more on gone ones."""
    left = lying[state.open(lying["old"].to_numpy(), lying["new"].to_numpy())]
    covered = left.groupby("new")["shared_m"].transform("sum")
    return _heirs(left[covered >= HEIR_SHARE * left["new_m"]].sort_values(["old", "new"]))


def _heirs(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[["old", "new", "shared_m", "turned"]].reset_index(drop=True)


def _no_heirs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "old": np.empty(0, dtype=np.int64),
            "new": np.empty(0, dtype=np.int64),
            "shared_m": np.empty(0),
            "turned": np.empty(0, dtype=bool),
        }
    )
