"""A whole town from frames: streets cut and put in force, then plates, places and boundaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows
from grid.core.crs import plane_for
from grid.house_numbers import assign_plates, ranges_from_plates
from grid.loading.attach import attach_to_grids
from grid.loading.boundaries import load_boundaries
from grid.loading.places import load_door_plates, load_places
from grid.loading.street_change import StreetChange
from grid.loading.streets import RANGES, load_streets, named_lines
from grid.segments import cut
from grid.town import ground_changed, town_facts

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TownReport:
    """What loading a town did."""

    streets: StreetChange
    crossed_without_node: int
    attached: int
    door_plates: int
    places: int
    boundaries: int

    def plain(self) -> dict[str, Any]:
        """As printed."""
        return {
            "streets": self.streets.plain(),
            "crossed_without_node": self.crossed_without_node,
            "attached": self.attached,
            "door_plates": self.door_plates,
            "places": self.places,
            "boundaries": self.boundaries,
        }


def load_town(
    session: Session,
    streets: gpd.GeoDataFrame,
    door_plates: gpd.GeoDataFrame,
    places: gpd.GeoDataFrame,
    boundaries: gpd.GeoDataFrame,
    now: datetime,
    *,
    merge: bool,
    name: str | None = None,
    name_en: str | None = None,
    progress: Progress | None = None,
) -> TownReport:
    """Cuts street lines and puts the town in force; frames as the readers in `grid.sources` give them.

    Raises BadInput `import.no_streets`.
    """
    tell = progress or (lambda _step: None)
    tell("cut")
    cutting = cut(streets, merge=merge)
    segments = cutting.segments
    if len(segments) and len(door_plates):
        tell("door_plates")
        west, south, east, north = segments.total_bounds
        epsg = plane_for((west + east) / 2, (south + north) / 2)
        ranges = ranges_from_plates(segments, assign_plates(segments, door_plates, epsg))
        segments = segments.assign(**{column: ranges[column] for column in RANGES})
    change = load_streets(
        session,
        segments,
        cutting.crossings,
        now,
        town_name=name,
        town_name_en=name_en,
        progress=tell,
    )
    attached = attach_to_grids(session, now)
    tell("places")
    loaded_plates = 0
    if len(door_plates):
        loaded_plates = load_door_plates(
            session, door_plates, named_lines(session), town_facts(session)
        )
    return TownReport(
        streets=change,
        crossed_without_node=len(cutting.crossed_without_node),
        attached=attached,
        door_plates=loaded_plates,
        places=load_places(session, places).touched,
        boundaries=load_boundaries(session, boundaries).touched,
    )


def load_addresses(session: Session, door_plates: gpd.GeoDataFrame) -> int:
    """Loads door plates alone, and works out the number ranges of the sides that had none."""
    town = town_facts(session)
    segments = named_lines(session)
    changed = load_door_plates(session, door_plates, segments, town)
    ranges = ranges_from_plates(segments, assign_plates(segments, door_plates, town.plane_epsg))
    found = ranges[ranges.notna().any(axis=1)]
    session.execute(
        text(
            "create temp table found_range (id bigint, left_from int, left_to int,"
            " right_from int, right_to int) on commit drop"
        )
    )
    copy_rows(
        session,
        "found_range",
        ("id", *RANGES),
        (
            (int(segments.at[label, "id"]), *(None if v is None else int(v) for v in values))
            for label, values in zip(
                found.index,
                found[list(RANGES)].astype(object).where(found.notna(), None).to_numpy(),
                strict=True,
            )
        ),
    )
    result = session.execute(
        text(
            "update segment s set left_from = coalesce(s.left_from, f.left_from),"
            " left_to = coalesce(s.left_to, f.left_to),"
            " right_from = coalesce(s.right_from, f.right_from),"
            " right_to = coalesce(s.right_to, f.right_to) from found_range f where f.id = s.id"
            " and (s.left_from is null and f.left_from is not null"
            " or s.right_from is null and f.right_from is not null)"
        )
    )
    session.execute(text("drop table found_range"))
    if int(result.rowcount):  # type: ignore[attr-defined]
        ground_changed(session)
    return changed
