"""The difference between the streets in force and a street file, as figures, as a table and as a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from grid.comparison import KINDS, Comparison


@dataclass(frozen=True, slots=True)
class KindSum:
    """Of one kind: segments and metres as they were and as they are."""

    kind: str
    before: int
    after: int
    before_m: float
    after_m: float


@dataclass(frozen=True, slots=True)
class StreetChange:
    """What loading a street file did, in segments (`split` counts the old ones, `merged` the new ones).

    `kinds` says the same with metres, before and after. `changes` holds every segment that is not
    unchanged, EPSG:4326: state ("before", "after"), kind, street, street_before, segment_id (of the
    one in force, that a kept one keeps; none for a fresh one), segment_ids (those in force that it is,
    was cut from or was made of), source_key, length_m, geometry.
    """

    unchanged: int
    moved: int
    reversed: int
    renamed: int
    split: int
    merged: int
    new: int
    gone: int
    rows_changed: int
    streets: int
    crossings: int
    length_m: float
    kinds: tuple[KindSum, ...]
    changes: gpd.GeoDataFrame

    def plain(self) -> dict[str, Any]:
        """Counts as printed; the table and the layer are shown on their own."""
        names = (*KINDS, "rows_changed", "streets", "crossings", "length_m")
        return {name: getattr(self, name) for name in names}

    def listed(self) -> list[dict[str, Any]]:
        """Every changed segment without its line, as JSON carries it."""
        rows = self.changes.drop(columns="geometry").astype(object)
        return [
            {str(name): None if value is None or value is pd.NA else value for name, value in row}
            for row in (item.items() for item in rows.to_dict("records"))
        ]


def street_change(
    known: gpd.GeoDataFrame,
    segments: gpd.GeoDataFrame,
    compared: Comparison,
    *,
    rows_changed: int,
    streets: int,
    crossings: int,
) -> StreetChange:
    """Sums up a comparison; known: id, name, source_key, length_m, geometry, by its old positions."""
    old_m = known["length_m"].to_numpy(dtype=np.float64)
    new_m = segments["length_m"].to_numpy(dtype=np.float64)
    kinds = tuple(
        KindSum(
            kind,
            int((was := compared.old_kind == kind).sum()),
            int((now := compared.new_kind == kind).sum()),
            float(old_m[was].sum()),
            float(new_m[now].sum()),
        )
        for kind in KINDS
    )
    counts = {k.kind: k.before if k.kind in ("split", "gone") else k.after for k in kinds}
    return StreetChange(
        **counts,
        rows_changed=rows_changed,
        streets=streets,
        crossings=crossings,
        length_m=float(new_m.sum()),
        kinds=kinds,
        changes=_changes(known, segments, compared),
    )


def _changes(
    known: gpd.GeoDataFrame, segments: gpd.GeoDataFrame, compared: Comparison
) -> gpd.GeoDataFrame:
    ids = known["id"].to_numpy(dtype=np.int64)
    names = known["name"].to_numpy(dtype=object)
    origins: dict[int, list[int]] = {}
    for new, old in zip(compared.heirs["new"], compared.heirs["old"], strict=True):
        origins.setdefault(int(new), []).append(int(old))
    for new in np.flatnonzero(compared.kept >= 0):
        origins[int(new)] = [int(compared.kept[new])]
    was = np.flatnonzero(compared.old_kind != "unchanged")
    now = np.flatnonzero(compared.new_kind != "unchanged")
    before = gpd.GeoDataFrame(
        {
            "state": "before",
            "kind": compared.old_kind[was],
            "street": names[was],
            "street_before": names[was],
            "segment_id": pd.array(ids[was], dtype="Int64"),
            "segment_ids": [str(i) for i in ids[was]],
            "source_key": known["source_key"].to_numpy()[was],
            "length_m": known["length_m"].to_numpy(dtype=np.float64)[was],
        },
        geometry=known.geometry.to_numpy()[was],
        crs=4326,
    )
    kept = compared.kept[now]
    from_old = [origins.get(int(new), []) for new in now]
    after = gpd.GeoDataFrame(
        {
            "state": "after",
            "kind": compared.new_kind[now],
            "street": segments["name"].to_numpy(dtype=object)[now],
            "street_before": [names[old[0]] if old else None for old in from_old],
            "segment_id": pd.array(
                [int(ids[old]) if old >= 0 else None for old in kept], dtype="Int64"
            ),
            "segment_ids": [" ".join(str(ids[old]) for old in group) for group in from_old],
            "source_key": segments["source_key"].to_numpy()[now],
            "length_m": segments["length_m"].to_numpy(dtype=np.float64)[now],
        },
        geometry=segments.geometry.to_numpy()[now],
        crs=4326,
    )
    both = pd.concat([before, after], ignore_index=True)
    return gpd.GeoDataFrame(both, geometry="geometry", crs=4326)
