"""Who would answer at each place that a waiting incident may mean: so that choosing the place is choosing the owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dispatch.catalogue import CategoryFacts
from dispatch.placement import GivenPoint
from dispatch.placing import find_place
from dispatch.routing import route
from grid.book import Ground
from grid.change_counts import Marks, read_marks
from grid.core.settings import TownSettings
from grid.locate import crew_of

# As many as a person looks at.
MOST = 12


def with_owners(
    session: Session,
    ground: Ground,
    settings: TownSettings,
    candidates: Sequence[dict[str, Any]],
    category: CategoryFacts | None,
    now: datetime,
    *,
    with_people: bool = True,
    marks: Marks | None = None,
) -> list[dict[str, Any]]:
    """The candidates of a place (lon, lat, WGS 84) with `suggested`: grid, grid_name, post, person; None where nobody can answer.

    Post and person follow from the category; without one only the grid is named. Decided as a report there would be.
    `marks`: the counters of changes, where the same request has read them already.
    """
    marks = marks or read_marks(session)
    found = []
    for candidate in candidates[:MOST]:
        point = GivenPoint(candidate["lon"], candidate["lat"], "wgs84")
        placed = find_place(session, ground, settings, now, point, (), marks)
        located = placed.located
        suggested = None
        if located is not None and located.grid is not None and not placed.waits:
            routed = route(placed, category, crew_of(session, located, now))
            person = routed.answering.person.name if routed.answering and with_people else None
            suggested = {
                "grid": located.grid.code,
                "grid_name": located.grid.name,
                "post": routed.post,
                "person": person,
            }
        found.append({**candidate, "suggested": suggested})
    return [*found, *candidates[MOST:]]
