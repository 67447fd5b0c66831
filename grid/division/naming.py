"""Names and codes for grids: "G001" in reading order, "城东社区·永胜路片" or "Cambridgeport · Broadway"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from grid.division.network import Float64, Int64, SegmentNetwork, totals


@dataclass(frozen=True, slots=True)
class GridName:
    """label in the division · code such as "G001" · name, unique in the division."""

    label: int
    code: str
    name: str


def name_grids(
    network: SegmentNetwork,
    labels: Int64,
    street_names: Mapping[int, str],
    community_names: Sequence[str | None] | None,
    language: str,
    in_force: Mapping[int, GridName] | None = None,
) -> list[GridName]:
    """A code and a name for every label >= 0, in the order of the codes.

    street_names: by street id of the network; ids without a name count as unnamed. community_names: one for each
    segment, or None. language: "zh…" writes Chinese, anything else English. in_force: names of grids that keep
    them; other grids take the lowest free codes.
    Order of codes (`reading_order`): rows from north to south, in each row from west to east.
    Name: the community with most length, then the street with most length; where two grids would be called the
    same, the second and third street, then the side of the world, then a number.
    """
    chinese = language.lower().startswith("zh")
    grids = reading_order(network, labels)
    kept = {label: name for label, name in (in_force or {}).items() if label in set(grids)}
    taken_codes = {name.code for name in kept.values()}
    width = max(3, len(str(len(grids))))
    free = (code for code in _codes(width) if code not in taken_codes)
    codes = {label: kept[label].code if label in kept else next(free) for label in grids}
    fresh = [label for label in grids if label not in kept]
    community = _longest(network, labels, community_names)
    streets = _streets(network, labels, street_names)
    names = {
        label: _called(community.get(label), streets[label][:1], codes[label], chinese)
        for label in fresh
    }
    taken = {name.name for name in kept.values()}
    for many in (2, 3):
        for label in _clashing(names, taken):
            names[label] = _called(
                community.get(label), streets[label][:many], codes[label], chinese
            )
    _tell_apart(names, taken, network, labels, chinese)
    named = [
        kept[label] if label in kept else GridName(label, codes[label], names[label])
        for label in grids
    ]
    return sorted(named, key=lambda grid: (len(grid.code), grid.code))


def reading_order(network: SegmentNetwork, labels: Int64) -> list[int]:
    """Labels >= 0 as one reads a map: rows from north to south, each from west to east.

    Grids are sorted by the northing of their centre (mean of the midpoints, weighted by length) and dealt into
    sqrt(grids x height / width) rows of equal number; within a row the easting decides. For towns the rule of the
    unit cells: serials run from west to east and from north to south.
    """
    names, x, y = _centres(network, labels)
    if len(names) == 0:
        return []
    tall, wide = np.ptp(y), np.ptp(x)
    share = float(np.sqrt(len(names) * tall / wide)) if wide > 0 else float(len(names))
    rows = int(np.clip(round(share), 1, len(names)))
    southward = np.lexsort((names, x, -y))
    row = np.empty(len(names), dtype=np.int64)
    row[southward] = np.arange(len(names)) * rows // len(names)
    return [int(label) for label in names[np.lexsort((names, x, row))]]


def _codes(width: int) -> Iterator[str]:
    return (f"G{number:0{width}d}" for number in count(1))


def _centres(network: SegmentNetwork, labels: Int64) -> tuple[Int64, Float64, Float64]:
    placed = labels >= 0
    names, at = np.unique(labels[placed], return_inverse=True)
    mass = network.length_m[placed] + 1e-9
    whole = totals(at, mass, len(names))
    x = totals(at, mass * network.x_m[placed], len(names)) / whole
    y = totals(at, mass * network.y_m[placed], len(names)) / whole
    return names, x, y


def _longest(
    network: SegmentNetwork, labels: Int64, names: Sequence[str | None] | None
) -> dict[int, str]:
    """By label, the name that covers most length."""
    if names is None:
        return {}
    return {label: ranked[0] for label, ranked in _ranked(network, labels, names).items()}


def _streets(
    network: SegmentNetwork, labels: Int64, street_names: Mapping[int, str]
) -> dict[int, list[str]]:
    """By label, its street names, longest in this grid first; every label has an entry."""
    names = [
        street_names.get(street) if street >= 0 else None for street in network.street.tolist()
    ]
    ranked = _ranked(network, labels, names)
    return {label: ranked.get(label, []) for label in np.unique(labels[labels >= 0]).tolist()}


def _ranked(
    network: SegmentNetwork, labels: Int64, names: Sequence[str | None]
) -> dict[int, list[str]]:
    length: dict[int, Counter[str]] = {}
    for label, name, metres in zip(labels.tolist(), names, network.length_m.tolist(), strict=True):
        if label >= 0 and name:
            length.setdefault(label, Counter())[name] += metres
    return {
        label: [name for name, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))]
        for label, found in length.items()
    }


def _called(community: str | None, streets: Sequence[str], code: str, chinese: bool) -> str:
    if not community and not streets:
        number = code.lstrip("G").lstrip("0")
        return f"第{number}网格" if chinese else f"Grid {number}"
    if chinese:
        return "·".join(part for part in (community, "、".join(streets)) if part) + "片"
    return " · ".join(part for part in (community, " & ".join(streets)) if part)


def _clashing(names: Mapping[int, str], taken: set[str]) -> list[int]:
    times = Counter(names.values())
    return [label for label, name in names.items() if times[name] > 1 or name in taken]


def _tell_apart(
    names: dict[int, str],
    taken: set[str],
    network: SegmentNetwork,
    labels: Int64,
    chinese: bool,
) -> None:
    """Two of one name get the sides of the world, more get numbers; whatever still clashes is numbered on."""
    grids, x, y = _centres(network, labels)
    centre = {int(g): (float(a), float(b)) for g, a, b in zip(grids, x, y, strict=True)}
    groups: dict[str, list[int]] = {}
    for label in _clashing(names, taken):
        groups.setdefault(names[label], []).append(label)
    for name, same in groups.items():
        if len(same) == 2 and name not in taken:
            for label, side in zip(same, _sides(centre[same[0]], centre[same[1]]), strict=True):
                word = {"east": "东", "west": "西", "north": "北", "south": "南"}[side]
                names[label] = _marked(name, word if chinese else side, chinese)
    used = set(taken)
    for label, name in names.items():
        number = 1
        while names[label] in used:
            number += 1
            names[label] = _marked(name, str(number), chinese)
        used.add(names[label])


def _marked(name: str, mark: str, chinese: bool) -> str:
    return f"{name}（{mark}）" if chinese else f"{name} ({mark})"


def _sides(one: tuple[float, float], other: tuple[float, float]) -> tuple[str, str]:
    east, north = one[0] - other[0], one[1] - other[1]
    if abs(east) >= abs(north):
        return ("east", "west") if east >= 0 else ("west", "east")
    return ("north", "south") if north >= 0 else ("south", "north")
