"""Pieces between cuts, and the chains of pieces that no crossing parts.

A chain is a list of (piece, turned): turned is True where the piece runs against the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from grid.noding import Network
from grid.sources.base import RANGE_COLUMNS

Ints = NDArray[np.int64]
Chain = list[tuple[int, bool]]


@dataclass(slots=True)
class Pieces:
    """Runs of vertices between two cuts. first, last: vertex positions; line: line of each; ordinal:
    position of the piece on its line."""

    first: Ints
    last: Ints
    line: Ints
    ordinal: Ints


def pieces_of(net: Network) -> Pieces:
    """Lines cut where more than two arms meet, and at the tip where a line runs back over itself."""
    is_cut = net.is_end() | (net.degree()[net.node] > 2)
    is_cut[1:-1] |= net.node[:-2] == net.node[2:]
    at = np.flatnonzero(is_cut)
    same = net.line[at[1:]] == net.line[at[:-1]]
    first, last = at[:-1][same], at[1:][same]
    line = net.line[first]
    fresh = np.r_[True, line[1:] != line[:-1]]
    count = np.arange(len(line))
    return Pieces(first, last, line, count - np.maximum.accumulate(np.where(fresh, count, 0)))


def whole_lines(net: Network) -> Pieces:
    """Every line as one piece."""
    at = np.flatnonzero(net.is_end())
    return Pieces(at[::2], at[1::2], net.line[at[::2]], np.zeros(len(at) // 2, dtype=np.int64))


def unjoined(size: int) -> list[Chain]:
    """Every piece a chain of its own."""
    return [[(piece, False)] for piece in range(size)]


def chains_of(streets: gpd.GeoDataFrame, net: Network, pieces: Pieces) -> list[Chain]:
    """Pieces to be joined, in order, each with True where it runs against the chain's direction.

    A chain runs the way its earliest piece runs; chains are ordered by their earliest piece.
    """
    count = len(pieces.line)
    node = np.r_[net.node[pieces.first], net.node[pieces.last]]
    arm_piece, arm_side = np.r_[np.arange(count), np.arange(count)], np.repeat([0, 1], count)
    order = np.argsort(node, kind="stable")
    two = np.bincount(node, minlength=len(net.origin))[node[order]] == 2
    arms = order[two].reshape(-1, 2)
    p, q = arm_piece[arms[:, 0]], arm_piece[arms[:, 1]]
    facing = arm_side[arms[:, 0]] == arm_side[arms[:, 1]]
    kind, oneway, ranged = _traits(streets, net.level)
    way_p, way_q = oneway[pieces.line[p]], oneway[pieces.line[q]]
    fit = (p != q) & (kind[pieces.line[p]] == kind[pieces.line[q]])
    fit &= np.where(facing, way_p == -way_q, way_p == way_q)
    fit &= ~(ranged[pieces.line[p]] | ranged[pieces.line[q]])
    # Two lines drawn on top of each other would join to one that runs back over itself.
    beyond = np.r_[net.node[pieces.first + 1], net.node[pieces.last - 1]]
    fit &= beyond[arms[:, 0]] != beyond[arms[:, 1]]
    mates: dict[int, list[tuple[int, int, bool]]] = {}
    for a, b, side_a, side_b in zip(
        p[fit].tolist(),
        q[fit].tolist(),
        arm_side[arms[fit, 0]].tolist(),
        arm_side[arms[fit, 1]].tolist(),
        strict=True,
    ):
        mates.setdefault(a, []).append((side_a, b, bool(side_b)))
        mates.setdefault(b, []).append((side_b, a, bool(side_a)))
    chains: list[Chain] = []
    used = np.zeros(count, dtype=bool)
    for piece in range(count):
        if used[piece]:
            continue
        used[piece] = True
        chain = [(piece, False)]
        if piece in mates:
            chain += _walk(mates, used, piece, 1)
            before = _walk(mates, used, piece, 0)
            chain = [(other, not turned) for other, turned in reversed(before)] + chain
        chains.append(chain)
    return chains


def _walk(
    mates: dict[int, list[tuple[int, int, bool]]], used: NDArray[np.bool_], piece: int, side: int
) -> Chain:
    """The pieces met on leaving `piece` by its side (0 start, 1 end); True where entered by its end."""
    met: Chain = []
    while True:
        ahead = [(other, turned) for at, other, turned in mates.get(piece, []) if at == side]
        if not ahead or used[ahead[0][0]]:
            return met
        piece, turned = ahead[0]
        used[piece] = True
        met.append((piece, turned))
        side = 0 if turned else 1


def _traits(streets: gpd.GeoDataFrame, level: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Per line: a code of (name, class, form, level), the one-way sense (1, -1, 0), has ranges."""
    columns = pd.DataFrame(
        {
            "name": streets["name"]
            .astype("object")
            .where(streets["name"].notna(), None)
            .to_numpy(),
            "class_": streets["class_"].to_numpy(),
            "form": streets["form"].to_numpy(),
            "level": level,
        }
    )
    kind = np.asarray(columns.groupby(list(columns), dropna=False, sort=False).ngroup(), np.int64)
    oneway = streets["oneway"].map({"forward": 1, "backward": -1}).fillna(0).to_numpy(np.int64)
    ranged = streets[list(RANGE_COLUMNS)].notna().any(axis=1).to_numpy(bool)
    return kind, oneway, ranged
