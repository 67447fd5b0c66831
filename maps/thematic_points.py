"""Maps of single incidents: clustered with a time slider, a heat map, hot spots with their significance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from grid.core.crs import geometries_from_plane, geometries_to_plane, to_plane
from grid.town import town_facts
from maps import hotspots
from maps import thematic_frames as frames
from maps.drawing import APART, Drawing, Kind, LegendItem, Timeline, Words, number
from maps.thematic_shared import Asked, counted_filter

# Beyond so many the server puts them together before they are sent.
MOST_DOTS = 20_000
SQUARE_DEG = 0.002
MOST_STEPS = 60
OTHER = "#7d8794"
LEGEND_KINDS = 8
HEAT = ("#2c7fb8", "#7fcdbb", "#ffffb2", "#fd8d3c", "#bd0026")
NOT_HOT = "#a3adb8"
LEVEL_COLOURS = {99: "#8c1a00", 95: "#d95f0e", 90: "#fdbe6f"}
MOST_REPEATS = 50
# Two units of the same colour must still be told from the ground below.
MOST_UNITS = 6_000


@dataclass(frozen=True, slots=True)
class Units:
    """What is counted by: frame (name, geometry EPSG:4326), the row of each incident (-1: none), which are near."""

    frame: gpd.GeoDataFrame
    row: NDArray[np.int64]
    near: hotspots.Neighbours


def incidents(session: Session, asked: Asked, words: Words) -> Drawing:
    """Every incident of the period, clustered, with a slider over its days, weeks or months."""
    total = frames.incident_count(session, asked.filters)
    steps, length, names = _steps(asked)
    drawing = Drawing(
        "incidents", words("maps.incidents.title"), asked.period(words),
        timeline=Timeline(names), incidents=total,
        empty=None if total else words("maps.empty_period"),
    )  # fmt: skip
    if total > MOST_DOTS:
        dots = frames.incident_squares(
            session, asked.filters, SQUARE_DEG, length.total_seconds(), asked.since
        )
        dots = dots.assign(colour=APART[0], title="", number="")
        dots["rows"] = pd.Series([()] * len(dots), index=dots.index, dtype="object")
        note = words("maps.note_put_together", n=number(total), most=number(MOST_DOTS))
        legend = (LegendItem("dot", (APART[0],), words("maps.put_together")),)
        return replace(drawing, dots=dots, legend=legend, notes=(note,))
    found = frames.incidents_frame(session, asked.filters)
    name = "category_en" if asked.english else "category_zh"
    if asked.by == "status":
        kinds = found["status"].map({s: words(f"status.{s}") for s in found["status"].unique()})
    else:
        kinds = found[name].fillna(words("maps.no_category"))
    order = kinds.value_counts(sort=True)
    chosen = dict(zip(order.index[:LEGEND_KINDS], APART, strict=False))
    legend_items = [
        LegendItem("dot", (colour,), f"{kind} ({number(int(order[kind]))})")
        for kind, colour in chosen.items()
    ]
    if len(order) > LEGEND_KINDS:
        rest = int(order.iloc[LEGEND_KINDS:].sum())
        legend_items.append(LegendItem("dot", (OTHER,), f"{words('maps.other')} ({number(rest)})"))
    when = found["reported_at"].dt.tz_convert(asked.zone)
    step = np.searchsorted(np.array([s.timestamp() for s in steps]),
                           found["reported_at"].map(lambda moment: moment.timestamp()), side="right") - 1  # fmt: skip
    dots = pd.DataFrame(
        {
            "lon": found["lon"],
            "lat": found["lat"],
            "n": 1,
            "colour": kinds.map(lambda kind: chosen.get(kind, OTHER)),
            "step": step,
            "number": found["number"],
            "title": found["number"],
            "rows": [
                (
                    (words("filter.category"), category),
                    (words("filter.status"), words(f"status.{status}")),
                    (words("maps.reported_at"), moment),
                    (words("maps.street"), street or ""),
                    (words("filter.grid"), grid or ""),
                )
                for category, status, moment, street, grid in zip(
                    found[name].fillna(words("maps.no_category")), found["status"],
                    when.dt.strftime("%Y-%m-%d %H:%M"), found["street"].fillna(""),
                    found["grid_code"].fillna(""), strict=True,
                )
            ],
        }
    )  # fmt: skip
    table = tuple((str(kind), number(int(n))) for kind, n in order.items())
    heads = (words(f"filter.{asked.by}"), words("maps.incidents_n"))
    return replace(drawing, dots=dots, legend=tuple(legend_items), heads=heads, rows=table)


def heat(session: Session, asked: Asked, words: Words) -> Drawing:
    """How thick incidents lie, smoothed."""
    found = frames.incident_squares(
        session, counted_filter(asked), 0.0002, 10.0 * 366 * 86_400, asked.since
    )
    total = int(found["n"].sum())
    return Drawing(
        "heat", words("maps.heat.title"), asked.period(words),
        heat=found[["lon", "lat", "n"]].to_numpy(dtype=float),
        legend=(LegendItem("ramp", HEAT, words("maps.heat_ramp")),),
        notes=(words("maps.note_heat"),), incidents=total,
        empty=None if total else words("maps.empty_period"),
    )  # fmt: skip


def hot_spots(session: Session, asked: Asked, words: Words) -> Drawing:
    """Units where incidents gather significantly, and stretches where one category keeps coming back."""
    found = frames.incidents_frame(session, counted_filter(asked))
    epsg = town_facts(session).plane_epsg
    drawing = Drawing(
        "hotspots", words("maps.hotspots.title"), f"{words('maps.by.' + asked.by)} · {asked.period(words)}",
        incidents=len(found), notes=(words("maps.note_hotspots"),),
        empty=None if len(found) else words("maps.empty_period"),
    )  # fmt: skip
    if not len(found):
        return drawing
    chosen = _units(session, asked.by, found, epsg)
    if chosen is None:
        return replace(drawing, empty=words("maps.empty_cells"))
    units, row = chosen.frame, chosen.row
    inside = row >= 0
    counts = np.bincount(row[inside], minlength=len(units))
    scores = hotspots.gathering(counts, chosen.near)
    top = _top_category(found[inside], row[inside], asked.english)
    hot = np.flatnonzero((scores.level > 0) | (counts > 0))
    hot = hot[np.argsort(-scores.z[hot], kind="stable")][:MOST_UNITS]
    shapes = units.iloc[hot].geometry.to_numpy()
    fills = [LEVEL_COLOURS.get(int(scores.level[k]), NOT_HOT) for k in hot]
    line_units = asked.by == "segments"
    frame = gpd.GeoDataFrame(
        {
            "fill": [None if line_units else fill for fill in fills],
            "line": fills if line_units else ["#5b6672"] * len(hot),
            "width_px": [5.0 if scores.level[k] else 3.0 for k in hot] if line_units else 0.6,
            "label": None,
            "title": [units["name"].iloc[k] for k in hot],
            "rows": [
                (
                    (words("maps.incidents_n"), number(int(counts[k]))),
                    (words("maps.top_category"), top.get(int(k), "")),
                    (words("maps.gi"), f"{scores.z[k]:.2f}"),
                    (words("maps.p"), f"{scores.p[k]:.2g}"),
                    (words("maps.p_corrected"), f"{scores.corrected[k]:.2g}"),
                )
                for k in hot
            ],
        },
        geometry=shapes,
        crs=4326,
    )
    kind: Kind = "line" if line_units else "fill"
    legend = [
        LegendItem(kind, (colour,), words("maps.hot_level", n=level))
        for level, colour in LEVEL_COLOURS.items()
    ]
    legend.append(LegendItem(kind, (NOT_HOT,), words("maps.hot_not")))
    legend.append(LegendItem("dot", ("#1b1b1b",), words("maps.repeat_place")))
    hot_n = int((scores.level >= 95).sum())
    notes = (words("maps.note_hot_found", n=hot_n, units=len(units)), *drawing.notes)
    heads, rows, dots = _repeats(found, asked, words)
    return replace(
        drawing, shapes=frame, legend=tuple(legend),
        notes=notes, heads=heads, rows=rows, dots=dots,
    )  # fmt: skip


def _units(session: Session, by: str, found: pd.DataFrame, epsg: int) -> Units | None:
    """The units of a choice; None where the town has no such units."""
    lon, lat = found["lon"].to_numpy(dtype=float), found["lat"].to_numpy(dtype=float)
    if by == "segments":
        frame = frames.segments_frame(session)
        at = pd.Series(np.arange(len(frame)), index=frame["id"])
        row = at.reindex(found["segment_id"]).fillna(-1).to_numpy().astype(np.int64)
        ends = frame[["from_crossing_id", "to_crossing_id"]].to_numpy(dtype=np.int64)
        named = frame.assign(name=frame["street"].fillna("") + " #" + frame["id"].astype(str))
        return Units(named, row, hotspots.crossing_neighbours(ends))
    x, y = to_plane(lon, lat, epsg)
    points = np.column_stack([x, y])
    if by == "cells":
        frame = frames.cells_frame(session)
        if not len(frame):
            return None
        row = np.full(len(found), -1, dtype=np.int64)
        spots = gpd.points_from_xy(lon, lat)
        which, cell = frame.sindex.query(np.asarray(spots), predicate="intersects")
        row[which[::-1]] = cell[::-1]
        planes = gpd.GeoSeries(geometries_to_plane(frame.geometry.to_numpy(), epsg))
        return Units(frame.assign(name=frame["code"]), row, hotspots.shape_neighbours(planes))
    grid, row = hotspots.squares(frames.ground_points(session), points)
    shapes = geometries_from_plane(hotspots.square_shapes(grid), epsg)
    names = (grid["cx"].astype(str) + "/" + grid["cy"].astype(str)).to_numpy()
    frame = gpd.GeoDataFrame({"name": names}, geometry=shapes, crs=4326)
    return Units(frame, row, hotspots.square_neighbours(grid))


def _top_category(found: pd.DataFrame, row: NDArray[np.int64], english: bool) -> dict[int, str]:
    """The commonest category of each unit with its count."""
    name = "category_en" if english else "category_zh"
    counted = found.assign(unit=row).groupby(["unit", name]).size().rename("n").reset_index()
    counted = counted.sort_values(["unit", "n", name], ascending=[True, False, True])
    first = counted.drop_duplicates("unit")
    return {
        int(u): f"{c} ({n})" for u, c, n in zip(first["unit"], first[name], first["n"], strict=True)
    }


def _repeats(
    found: pd.DataFrame, asked: Asked, words: Words
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], pd.DataFrame]:
    """Repeat places as a table and as dots."""
    places = hotspots.repeat_places(found).head(MOST_REPEATS)
    names = found.drop_duplicates("category").set_index("category")
    named = names["category_en" if asked.english else "category_zh"]
    days = [
        f"{places[c].iloc[k].tz_convert(asked.zone):%Y-%m-%d}" for k in range(len(places)) for c in ("first_at", "last_at")
    ]  # fmt: skip
    spans = [f"{a} – {b}" for a, b in list(pairwise(days))[::2]]
    rows = tuple(
        (
            street or "—",
            str(named.get(category, category)),
            number(int(times)),
            span,
            grid or "—",
        )
        for street, category, times, span, grid in zip(
            places["street"].fillna(""), places["category"], places["times"], spans,
            places["grid_code"].fillna(""), strict=True,
        )
    )  # fmt: skip
    heads = (
        words("maps.street"), words("filter.category"), words("maps.times"), words("maps.span"),
        words("filter.grid"),
    )  # fmt: skip
    dots = pd.DataFrame(
        {
            "lon": places["lon"], "lat": places["lat"], "n": places["times"], "colour": "#1b1b1b",
            "step": -1, "number": "", "title": [row[0] for row in rows],
            "rows": [tuple(zip(heads[1:], row[1:], strict=True)) for row in rows],
        }
    )  # fmt: skip
    return heads, rows, dots


def _steps(asked: Asked) -> tuple[list[datetime], timedelta, tuple[str, ...]]:
    """Beginnings of the slider's steps, their length, and their names: days, or as many as make at most MOST_STEPS."""
    days = max(1, -(-int((asked.until - asked.since).total_seconds()) // 86_400))
    each = -(-days // MOST_STEPS)
    length = timedelta(days=each)
    starts = [asked.since + k * length for k in range(-(-days // each))]
    names = []
    for start in starts:
        first = start.astimezone(asked.zone)
        last = min(start + length, asked.until).astimezone(asked.zone) - timedelta(microseconds=1)
        one = f"{first:%Y-%m-%d}"
        names.append(one if first.date() == last.date() else f"{one} – {last:%m-%d}")
    return starts, length, tuple(names)
