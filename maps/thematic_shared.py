"""What the builders of thematic maps share: what is asked, the period in words, legends of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from dispatch.moves import State
from dispatch.reading import IncidentFilter
from maps.drawing import EDGE, NOTHING, LegendItem, Words, class_of, classes, number, shades

# What was struck out or is part of another incident is no load of any ground.
UNCOUNTED = frozenset({"voided", "merged"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A map as asked: the choice, the filters with scope, the period, the reader."""

    by: str
    filters: IncidentFilter
    since: datetime
    until: datetime
    now: datetime
    zone: ZoneInfo
    with_names: bool
    english: bool

    def period(self, words: Words) -> str:
        """The period in the town's days, the last one included."""
        first = self.since.astimezone(self.zone)
        last = (self.until - timedelta(microseconds=1)).astimezone(self.zone)
        return words("maps.period", first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}")

    def before(self) -> tuple[datetime, datetime]:
        """The period of the same length just before."""
        return self.since - (self.until - self.since), self.since


def counted_filter(asked: Asked) -> IncidentFilter:
    """The filters without what is no load; a state the reader chose stays as chosen."""
    if asked.filters.statuses or asked.filters.open_only:
        return asked.filters
    kept = tuple(str(state) for state in State if str(state) not in UNCOUNTED)
    return replace(asked.filters, statuses=kept)


@dataclass(frozen=True, slots=True)
class Shaded:
    """Colours of values in classes, and the legend that says so."""

    fills: tuple[str, ...]
    legend: tuple[LegendItem, ...]


def shaded(
    values: NDArray[np.float64], colours: Sequence[str], none: str, unit: str = "", digits: int = 0
) -> Shaded:
    """Classes of equal size, light to dark; `none` is said for what has no value."""
    limits = classes(values)
    row = class_of(values, limits)
    tones = shades(colours, len(limits))
    fills = tuple(NOTHING if k < 0 else tones[k] for k in row.tolist())
    items = []
    known = values[np.isfinite(values)]
    for k, tone in enumerate(tones[: len(limits)]):
        inside = known[class_of(known, limits) == k]
        if not len(inside):
            continue
        low, high = number(float(inside.min()), digits), number(float(inside.max()), digits)
        items.append(LegendItem("fill", (tone,), (low if low == high else f"{low}–{high}") + unit))
    if not np.isfinite(values).all():
        items.append(LegendItem("fill", (NOTHING,), none))
    return Shaded(fills, tuple(items))


def grid_title(code: str, name: str, name_en: str | None, english: bool) -> str:
    """A grid in a bubble: its code and its name in the reader's language."""
    shown = (name_en if english else None) or name
    return code if shown == code else f"{code} {shown}"


def drawn_grids(
    grids: gpd.GeoDataFrame, fills: Sequence[str], rows: Sequence[tuple[tuple[str, str], ...]],
    english: bool, labels: Sequence[str | None] | None = None,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Grids as shapes of a drawing: filled ground, or thick streets where no territory is kept."""
    ground = grids["has_ground"].to_numpy(dtype=bool)
    titles = [
        grid_title(code, name, name_en, english)
        for code, name, name_en in zip(grids["code"], grids["name"], grids["name_en"], strict=True)
    ]
    return gpd.GeoDataFrame(
        {
            "fill": [fill if area else None for fill, area in zip(fills, ground, strict=True)],
            "line": [EDGE if area else fill for fill, area in zip(fills, ground, strict=True)],
            "width_px": np.where(ground, 1.2, 4.0),
            "label": list(labels) if labels is not None else grids["code"].tolist(),
            "title": titles,
            "rows": list(rows),
        },
        geometry=grids.geometry.to_numpy(),
        crs=4326,
    )
