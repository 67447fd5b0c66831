"""Maps with one value for each grid: who answers, load, on time and overdue, one period against the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from dispatch.indicators import counts as indicator_counts
from maps import thematic_frames as frames
from maps.drawing import (
    BLUES,
    LESS_MORE,
    NOTHING,
    ORANGES,
    Drawing,
    LegendItem,
    Words,
    number,
    told_apart,
)
from maps.thematic_shared import Asked, counted_filter, drawn_grids, grid_title, shaded

Rows = tuple[tuple[str, str], ...]
# So many owners have a line of their own in the legend; the table names all.
LEGEND_OWNERS = 16


def ownership(session: Session, asked: Asked, words: Words) -> Drawing:
    """Who answers for which ground: by grid, by the holder of a post, by leader, or how many posts are filled."""
    grids = _chosen(frames.grids_frame(session), asked)
    people = frames.people_names(session) if asked.with_names else {}

    def person(number_: object) -> str | None:
        if pd.isna(number_):  # type: ignore[call-overload]
            return None
        key = int(number_)  # type: ignore[call-overload]
        return people.get(key) or words("maps.person", id=key)

    crews = {
        post: [person(value) for value in grids[f"{post}_id"]] for post in (*frames.POSTS, "leader")
    }
    bubbles = [
        (
            *((words(f"post.{post}"), crews[post][k] or words("maps.nobody")) for post in crews),
            (words("maps.length"), words("maps.km", n=number(length / 1000, 1))),
        )
        for k, length in enumerate(grids["length_m"])
    ]
    title = words("maps.ownership.title")
    names = [
        grid_title(code, name, name_en, asked.english)
        for code, name, name_en in zip(grids["code"], grids["name"], grids["name_en"], strict=True)
    ]
    heads = (words("filter.grid"), *(words(f"post.{post}") for post in crews))
    table = tuple(
        (names[k], *(crews[post][k] or words("maps.nobody") for post in crews))
        for k in range(len(grids))
    )
    base = Drawing(
        "ownership", title, words(f"maps.by.{asked.by}"), heads=heads, rows=table,
        empty=None if len(grids) else words("maps.empty_grids"),
    )  # fmt: skip
    if not len(grids):
        return base
    if asked.by == "posts":
        filled = np.array(
            [sum(crews[post][k] is not None for post in frames.POSTS) for k in range(len(grids))]
        )
        fills = [BLUES[n] for n in filled]
        legend = tuple(
            LegendItem("fill", (BLUES[n],), words("maps.posts_filled", n=int(n)))
            for n in sorted(set(filled.tolist()))
        )
    else:
        owners = names if asked.by == "grid" else crews[asked.by]
        colours = told_apart(owners, grids.geometry.to_numpy())
        fills = [colours[owner] if owner else NOTHING for owner in owners]
        legend = _owners_legend(owners, colours, words)
    return replace(base, shapes=drawn_grids(grids, fills, bubbles, asked.english), legend=legend)


def _owners_legend(
    owners: list[str] | list[str | None], colours: dict[str, str], words: Words
) -> tuple[LegendItem, ...]:
    every = sorted({owner for owner in owners if owner})
    items = [LegendItem("fill", (colours[owner],), owner) for owner in every[:LEGEND_OWNERS]]
    if len(every) > LEGEND_OWNERS:
        rest = words("maps.more_owners", n=len(every) - LEGEND_OWNERS)
        items.append(LegendItem("fill", (), rest))
    if any(owner is None for owner in owners):
        items.append(LegendItem("fill", (NOTHING,), words("maps.nobody")))
    return tuple(items)


def load(session: Session, asked: Asked, words: Words) -> Drawing:
    """Incidents reported in the period for each grid, or for each kilometre of its streets."""
    grids = _chosen(frames.grids_frame(session), asked)
    found = frames.counts_by_grid(session, counted_filter(asked))
    n = np.array([found.get(key, 0) for key in grids["id"]], dtype=float)
    km = grids["length_m"].to_numpy(dtype=float) / 1000
    per_km = np.divide(n, km, out=np.full(len(n), np.nan), where=km > 0)
    digits = 1 if asked.by == "per_km" else 0
    shown = shaded(per_km if digits else n, BLUES, words("maps.no_value"), digits=digits)
    bubbles = [
        (
            (words("maps.incidents_n"), number(float(n[k]))),
            (words("maps.per_km"), _shown(per_km[k], 1)),
            (words("maps.length"), words("maps.km", n=number(float(km[k]), 1))),
        )
        for k in range(len(grids))
    ]
    return _by_grid(
        Drawing("load", words("maps.load.title"), f"{words('maps.by.' + asked.by)} · {asked.period(words)}"),
        grids, shown.fills, shown.legend, bubbles, n, asked, words,
    )  # fmt: skip


def on_time(session: Session, asked: Asked, words: Words) -> Drawing:
    """Of the incidents due, the share disposed in time, or the share past their limit, for each grid."""
    grids = _chosen(frames.grids_frame(session), asked)
    incidents = frames.incidents_frame(session, asked.filters)
    counted = indicator_counts(_as_indicators(incidents), min(asked.until, asked.now))
    totals = counted.groupby(incidents["grid_id"].to_numpy()).sum()
    totals = totals.reindex(grids["id"].to_numpy(), fill_value=0)
    due = totals["due"].to_numpy(dtype=float)
    late_due = totals["due_without_appeal"].to_numpy(dtype=float)
    good, late = totals["disposed_on_time"].to_numpy(), totals["overdue"].to_numpy()
    rate = np.divide(good, due, out=np.full(len(due), np.nan), where=due > 0) * 100
    over = np.divide(late, late_due, out=np.full(len(due), np.nan), where=late_due > 0) * 100
    value, colours = (over, ORANGES) if asked.by == "overdue" else (rate, BLUES)
    shown = shaded(value, colours, words("maps.nothing_due"), unit=" %", digits=0)
    bubbles = [
        (
            (words("maps.due"), number(due[k])),
            (words("maps.on_time_n"), number(good[k])),
            (words("maps.on_time_rate"), _shown(rate[k], 1, " %")),
            (words("maps.overdue_n"), number(late[k])),
            (words("maps.overdue_rate"), _shown(over[k], 1, " %")),
        )
        for k in range(len(grids))
    ]
    drawing = Drawing(
        "on_time",
        words("maps.on_time.title"),
        f"{words('maps.by.' + asked.by)} · {asked.period(words)}",
        notes=(words("maps.note_rates"),),
    )
    return _by_grid(
        drawing,
        grids,
        shown.fills,
        shown.legend,
        bubbles,
        due,
        asked,
        words,
        counted=len(incidents),
    )


def compared(session: Session, asked: Asked, words: Words) -> Drawing:
    """The period against the one of the same length before it: change of the count for each grid."""
    grids = _chosen(frames.grids_frame(session), asked)
    now_asked = counted_filter(asked)
    start, end = asked.before()
    now_n = frames.counts_by_grid(session, now_asked)
    old_n = frames.counts_by_grid(session, replace(now_asked, from_at=start, to_at=end))
    after = np.array([now_n.get(key, 0) for key in grids["id"]], dtype=float)
    before = np.array([old_n.get(key, 0) for key in grids["id"]], dtype=float)
    change = after - before
    share = np.divide(change, before, out=np.full(len(before), np.nan), where=before > 0) * 100
    fills = [LESS_MORE[k] for k in _change_class(change, before)]
    legend = tuple(
        LegendItem("fill", (colour,), words(f"maps.change.{key}"))
        for colour, key in zip(
            LESS_MORE, ("less_much", "less", "same", "more", "more_much"), strict=True
        )
    )
    bubbles = [
        (
            (words("maps.before"), number(before[k])),
            (words("maps.after"), number(after[k])),
            (words("maps.change"), _signed(change[k])),
            (words("maps.change_share"), _signed(share[k], " %") if np.isfinite(share[k]) else "—"),
        )
        for k in range(len(grids))
    ]
    earlier = replace(asked, since=start, until=end).period(words)
    subtitle = words("maps.against", now=asked.period(words), before=earlier)
    drawing = Drawing(
        "compare", words("maps.compare.title"), subtitle, notes=(words("maps.note_change"),)
    )
    total = int(after.sum())
    return _by_grid(
        drawing, grids, fills, legend, bubbles, after + before, asked, words, counted=total
    )


def _change_class(change: NDArray[np.float64], before: NDArray[np.float64]) -> list[int]:
    """0 to 4: what a Poisson count may do by itself is "same"; beyond twice its deviation, and beyond four times."""
    after = before + change
    spread = np.sqrt(np.maximum(before + after, 1.0))
    score = change / spread
    lower, upper = np.digitize(score, (-4.0, -2.0)), np.digitize(score, (2.0, 4.0), right=True)
    return [int(low + up) for low, up in zip(lower, upper, strict=True)]


def _by_grid(
    drawing: Drawing,
    grids: gpd.GeoDataFrame,
    fills: list[str] | tuple[str, ...],
    legend: tuple[LegendItem, ...],
    bubbles: Sequence[Rows],
    n: NDArray[np.float64],
    asked: Asked,
    words: Words,
    counted: int | None = None,
) -> Drawing:
    """A drawing with a value for each grid, its table, and what is said where there is nothing."""
    total = int(n.sum()) if counted is None else counted
    empty = None
    if not len(grids):
        empty = words("maps.empty_grids")
    elif not total and not n.sum():
        empty = words("maps.empty_period")
    if not len(grids):
        return replace(drawing, empty=empty)
    shapes = drawn_grids(grids, fills, bubbles, asked.english)
    heads = (words("filter.grid"), *(label for label, _ in bubbles[0]))
    rows = tuple(
        (title, *(value for _, value in bubble))
        for title, bubble in zip(shapes["title"], bubbles, strict=True)
    )
    return replace(
        drawing, shapes=shapes, legend=legend, heads=heads, rows=rows, incidents=total, empty=empty
    )


def _chosen(grids: gpd.GeoDataFrame, asked: Asked) -> gpd.GeoDataFrame:
    """The grids of a map: the one of the filter, or all; the leader's own where a scope names them."""
    if asked.filters.grid:
        grids = grids[grids["code"] == asked.filters.grid]
    scope = asked.filters.scope
    if scope is not None and scope.grid_ids:
        grids = grids[grids["id"].isin(scope.grid_ids)]
    return grids.reset_index(drop=True)


def _as_indicators(incidents: pd.DataFrame) -> pd.DataFrame:
    """Incidents as dispatch/indicators.py counts them."""
    status = incidents["status"]
    return pd.DataFrame(
        {
            "filed_at": incidents["filed_at"],
            "voided": status == "voided",
            "merged": status == "merged",
            "on_the_spot": status == "fixed_on_spot",
            "suspended": status == "suspended",
            "dispatched_at": incidents["dispatched_at"],
            "due_at": incidents["due_at"],
            "disposed_at": incidents["disposed_at"],
            "closed_at": incidents["ended_at"].where(status == "closed"),
            "reworks": incidents["reworks"],
        }
    )


def _shown(value: float, digits: int, unit: str = "") -> str:
    return f"{number(float(value), digits)}{unit}" if np.isfinite(value) else "—"


def _signed(value: float, unit: str = "") -> str:
    return f"{value:+,.0f}{unit}"
