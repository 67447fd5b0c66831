"""A thematic map before it is drawn: the same plain frames become the page, the file and the print.

Geometry is EPSG:4326. Sentences come from outside (`Words`), so this floor knows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

Kind = Literal["fill", "line", "dot", "ramp"]

# Every set keeps its order in grey and for colour-blind eyes. Light to dark: more.
BLUES = ("#d9e6f3", "#afcce8", "#74a9d8", "#2f7bbb", "#0a4583")
ORANGES = ("#fbe6c4", "#fdce8a", "#f5993f", "#cf5b16", "#8a2c05")
# Fewer (purple) over none (grey) to more (orange): Brewer's PuOr.
LESS_MORE = ("#5e3c99", "#b2abd2", "#dedede", "#fdb863", "#c75100")
# Paul Tol's "muted" set for things without an order.
APART = (
    *("#88ccee", "#cc6677", "#ddcc77", "#117733", "#882255"),
    *("#44aa99", "#aa4499", "#999933", "#6a5acd", "#d08c60"),
)
NOTHING = "#efe8da"
EDGE = "#33414f"
STREET = "#aab4c0"


class Words(Protocol):
    """The sentence of a key in the reader's language, its places filled."""

    def __call__(self, key: str, /, **values: object) -> str: ...


@dataclass(frozen=True, slots=True)
class LegendItem:
    """One line of the legend; `colours` has one, or those of a ramp from low to high."""

    kind: Kind
    colours: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Names of the steps of a time slider; a dot's `step` is its place among them."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One map.

    shapes: columns fill (colour or None), line, width_px, label (short text on the map, or None), title, rows
    (label and value pairs of the bubble), geometry. dots: lon, lat, n, colour, step, title, rows. heat: (n, 3) lon,
    lat, weight. streets: lines of the town, for orientation. table: heads and rows of the same numbers as text.
    """

    name: str
    title: str
    subtitle: str
    shapes: gpd.GeoDataFrame | None = None
    dots: pd.DataFrame | None = None
    heat: NDArray[np.float64] | None = None
    streets: gpd.GeoSeries | None = None
    timeline: Timeline | None = None
    legend: tuple[LegendItem, ...] = ()
    notes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    incidents: int = 0
    bounds: tuple[float, float, float, float] | None = None
    empty: str | None = None
    extra: dict[str, object] = field(default_factory=dict)


def classes(values: NDArray[np.float64], most: int = 5) -> NDArray[np.float64]:
    """Upper limits of at most `most` classes with about as many values each; whole numbers stay whole."""
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return np.array([])
    different = np.unique(known)
    if len(different) <= most:
        return different
    limits = np.quantile(known, np.linspace(1 / most, 1, most), method="inverted_cdf")
    return np.unique(limits)


def class_of(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class of each value, -1 for none."""
    found = np.searchsorted(limits, values, side="left").astype(np.int64)
    found[~np.isfinite(values)] = -1
    return found


def shades(colours: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` colours of a set, spread from its lightest to its darkest."""
    if count <= 1:
        return (colours[len(colours) // 2],)
    at = np.linspace(0, len(colours) - 1, count).round().astype(int)
    return tuple(colours[i] for i in at)


def told_apart(owners: Sequence[str | None], shapes: NDArray[np.object_]) -> dict[str, str]:
    """A colour for each owner, so that owners whose ground touches differ as long as the set is large enough."""
    tree = shapely.STRtree(shapes)
    one, two = tree.query(shapes, predicate="dwithin", distance=1e-6)
    near: dict[str, set[str]] = {owner: set() for owner in owners if owner is not None}
    for i, k in zip(one.tolist(), two.tolist(), strict=True):
        a, b = owners[i], owners[k]
        if a is not None and b is not None and a != b:
            near[a].add(b)
    chosen: dict[str, int] = {}
    used = [0] * len(APART)
    # The most hemmed-in first (Welsh & Powell 1967); of the free colours the least used.
    for owner in sorted(near, key=lambda o: (-len(near[o]), o)):
        taken = {chosen[other] for other in near[owner] if other in chosen}
        free = [i for i in range(len(APART)) if i not in taken] or list(range(len(APART)))
        chosen[owner] = min(free, key=lambda i: (used[i], i))
        used[chosen[owner]] += 1
    return {owner: APART[i] for owner, i in chosen.items()}


def number(value: float, digits: int = 0) -> str:
    """A number as people write it in both languages: 1,234 or 12.5."""
    return f"{value:,.{digits}f}"
