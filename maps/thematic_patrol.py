"""Which streets were patrolled in a period, by the shifts that came near them (dispatch/attendance.py)."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from maps import thematic_frames as frames
from maps.drawing import STREET, Drawing, LegendItem, Words, number
from maps.thematic_shared import Asked

# Of a shift that saw half of a segment's length; light to dark, and never.
LINES = ("#9ecae1", "#3f8fc5", "#08306b")
NEVER = "#d7301f"
MANY = 5


def patrol(session: Session, asked: Asked, words: Words) -> Drawing:
    """Segments by the number of shifts that saw at least half of them; the table sums them up by grid."""
    scope = asked.filters.scope
    segments = frames.segments_frame(session)
    if asked.filters.grid:
        segments = segments[segments["grid_code"] == asked.filters.grid]
    if scope is not None and scope.grid_ids:
        grids = frames.grids_frame(session)
        own = set(grids.loc[grids["id"].isin(scope.grid_ids), "code"])
        segments = segments[segments["grid_code"].isin(own)]
    staff = None if scope is None else scope.staff_ids
    seen = frames.patrols_frame(session, asked.since, asked.until, staff).set_index("segment_id")
    found = segments.join(seen, on="id").reset_index(drop=True)
    times = found["shifts"].fillna(0).astype(int).to_numpy()
    row = np.where(times == 0, -1, np.digitize(times, (2, MANY)))
    drawing = Drawing(
        "patrol", words("maps.patrol.title"), asked.period(words), notes=(words("maps.note_patrol"),),
        empty=None if len(seen) else words("maps.empty_patrol"),
    )  # fmt: skip
    if not len(found):
        return drawing
    # Where nobody's way was kept, nothing can be said against the crews: no street is red.
    never = NEVER if len(seen) else STREET
    shapes = gpd.GeoDataFrame(
        {
            "fill": None,
            "line": [never if k < 0 else LINES[k] for k in row],
            "width_px": np.where(times == 0, 2.0, 3.5),
            "label": None,
            "title": [f"{street or ''} #{key}".strip() for street, key in zip(found["street"], found["id"], strict=True)],
            "rows": [
                (
                    (words("maps.shifts"), number(int(n))),
                    (words("maps.most_seen"), "—" if pd.isna(share) else f"{share * 100:.0f} %"),
                    (words("maps.last_seen"), _day(last, asked)),
                    (words("filter.grid"), grid or ""),
                )
                for n, share, last, grid in zip(times, found["share"], found["last_at"], found["grid_code"], strict=True)
            ],
        },
        geometry=found.geometry.to_numpy(),
        crs=4326,
    )  # fmt: skip
    legend: tuple[LegendItem, ...] = (
        LegendItem("line", (NEVER,), words("maps.patrolled_never")),
        LegendItem("line", (LINES[0],), words("maps.patrolled", n="1")),
        LegendItem("line", (LINES[1],), words("maps.patrolled", n="2–4")),
        LegendItem("line", (LINES[2],), words("maps.patrolled", n="≥ 5")),
    )
    if not len(seen):
        legend = (LegendItem("line", (STREET,), words("maps.empty_patrol")),)
    heads, rows = _by_grid(found.assign(times=times), words)
    return replace(drawing, shapes=shapes, legend=legend, heads=heads, rows=rows)


def _by_grid(
    found: pd.DataFrame, words: Words
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    seen = found["times"] > 0
    summed = (
        found.assign(seen=seen, seen_m=found["length_m"].where(seen, 0.0))
        .groupby(found["grid_code"].fillna("—"))
        .agg(n=("seen", "size"), seen=("seen", "sum"), length_m=("length_m", "sum"), seen_m=("seen_m", "sum"))
    )  # fmt: skip
    heads = (
        words("filter.grid"), words("maps.segments"), words("maps.segments_seen"), words("maps.share_seen"),
    )  # fmt: skip
    rows = tuple(
        (str(code), number(row.n), number(row.seen), f"{row.seen_m / row.length_m * 100:.0f} %")
        for code, row in zip(
            summed.index, summed.astype(float).to_records(index=False), strict=True
        )
    )
    return heads, rows


def _day(moment: object, asked: Asked) -> str:
    if not isinstance(moment, pd.Timestamp) or pd.isna(moment):
        return ""
    return f"{moment.tz_convert(asked.zone):%Y-%m-%d}"
