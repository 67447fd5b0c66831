"""The thematic maps by name: from what is asked to a `Drawing`.

Counts are of the incidents the reader may see (dispatch/scope.py); rates follow dispatch/indicators.py. Each map
counts incidents by the moment of their report, voided and merged ones left out where a count is shown by ground.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from sqlalchemy.exc import DataError, ProgrammingError
from sqlalchemy.orm import Session

from dispatch.reading import IncidentFilter
from grid.core.errors import BadInput, NotFound
from maps import thematic_frames as frames
from maps.drawing import Drawing, Words
from maps.thematic_grids import compared, load, on_time, ownership
from maps.thematic_patrol import patrol
from maps.thematic_points import heat, hot_spots, incidents
from maps.thematic_shared import Asked

Builder = Callable[[Session, Asked, Words], Drawing]


@dataclass(frozen=True, slots=True)
class MapKind:
    """A map of the list: its choices (`by`), the first is what is shown without a choice. `incidents`: it counts them;
    `grounds`: it fills the ground of grids.
    """

    build: Builder
    choices: tuple[str, ...] = ()
    needs_period: bool = True
    incidents: bool = True
    grounds: bool = False


MAPS: Mapping[str, MapKind] = {
    "ownership": MapKind(
        ownership,
        ("grid", "officer", "cleaner", "gardener", "maintainer", "leader", "posts"),
        needs_period=False,
        incidents=False,
        grounds=True,
    ),
    "incidents": MapKind(incidents, ("category", "status")),
    "heat": MapKind(heat),
    "hotspots": MapKind(hot_spots, ("squares", "cells", "segments")),
    "load": MapKind(load, ("count", "per_km"), grounds=True),
    "on_time": MapKind(on_time, ("on_time", "overdue"), grounds=True),
    "patrol": MapKind(patrol, incidents=False),
    "compare": MapKind(compared, grounds=True),
}


def thematic_map(
    session: Session,
    name: str,
    by: str | None,
    filters: IncidentFilter,
    now: datetime,
    words: Words,
    zone: ZoneInfo,
    *,
    with_names: bool,
    english: bool,
) -> Drawing:
    """The map of a name; the period stands in `filters` (from_at, to_at), both ends known.

    Raises NotFound `maps.unknown`; BadInput `maps.choice_unknown`, `export.period_turned`, and for a condition what
    `maps.export_cql.condition` raises, and `export.where_unfit`.
    """
    kind = MAPS.get(name)
    if kind is None:
        raise NotFound("maps.unknown", field="name", name=name, known=", ".join(MAPS))
    if by and by not in kind.choices:
        raise BadInput(
            "maps.choice_unknown", field="by", by=by, known=", ".join(kind.choices) or "—"
        )
    since, until = filters.from_at, filters.to_at
    if since is None or until is None or since >= until:
        raise BadInput("export.period_turned", field="to")
    chosen = by or (kind.choices[0] if kind.choices else "")
    asked = Asked(chosen, filters, since, until, now, zone, with_names, english)
    try:
        drawing = kind.build(session, asked, words)
    except (DataError, ProgrammingError) as error:
        if not getattr(filters, "where", None):
            raise
        problem = str(error.orig).splitlines()[0][:300]
        raise BadInput("export.where_unfit", field="where", problem=problem) from error
    streets = frames.streets_series(session)
    bounds = _bounds(drawing, streets)
    notes = drawing.notes
    if filters.scope is not None and kind.needs_period and kind.incidents:
        notes = (*notes, words("maps.note_scope"))
    empty = drawing.empty
    if bounds is None:
        empty = words("maps.empty_town")
    return replace(drawing, streets=streets, bounds=bounds, notes=notes, empty=empty)


def _bounds(drawing: Drawing, streets: object) -> tuple[float, float, float, float] | None:
    boxes = []
    for series in (drawing.shapes.geometry if drawing.shapes is not None else None, streets):
        if series is not None and len(series):  # type: ignore[arg-type]
            box = shapely.total_bounds(np.asarray(series))
            if np.isfinite(box).all():
                boxes.append(box)
    if not boxes:
        return None
    all_ = np.array(boxes)
    west, south = all_[:, :2].min(axis=0).tolist()
    east, north = all_[:, 2:].max(axis=0).tolist()
    return west, south, east, north
