"""The ground from files: streets, door plates, places, other names, boundaries, grids and cells."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import select

from api.imports.asked import (
    Loaded,
    Reading,
    counts_of,
    datum_change,
    hand_over_of,
    moment_of,
)
from api.imports.faults import faults_of_file
from api.imports.placed import placed_otherwise
from dispatch.checking import open_on_gone_segments
from dispatch.following import Followed, follow_changes
from dispatch.ground_handover import incidents_at
from dispatch.place_changes import PlaceChange
from grid.area_faults import counts_of as fault_counts
from grid.areas import put_areas
from grid.cells import load_cells
from grid.core.errors import BadInput, NotFound
from grid.loading.aliases import load_aliases
from grid.loading.boundaries import load_boundaries
from grid.loading.grids import GridName, Holding, put_in_force
from grid.loading.places import load_places
from grid.loading.towns import TownReport, load_addresses, load_town
from grid.models import SIDES, Segment
from grid.overlay import segments_by_area
from grid.sources import vector
from grid.sources.osm import read_osm
from grid.sources.tables import read_table

# A side as tables write it.
SIDE_WORDS = {"left": "left", "right": "right", "左": "left", "右": "right"}


def osm(asked: Reading) -> Loaded:
    """An OpenStreetMap extract: streets with all that it knows of the town. `more`: TownReport, numbers left behind."""
    town = read_osm(asked.file, progress=asked.step)
    report = load_town(
        asked.session,
        town.streets,
        town.door_plates,
        town.places,
        town.boundaries,
        asked.now,
        merge=True,
        name=asked.name,
        progress=asked.step,
    )
    return _streets(asked, report, {"source": town.counts}, town.refused)


def streets(asked: Reading) -> Loaded:
    """Street centre lines. `more`: TownReport, numbers left behind."""
    asked.step("read")
    lines, refused = vector.read_streets(*_file(asked))
    report = load_town(
        asked.session,
        lines,
        _empty_frame(),
        _empty_frame(),
        _empty_frame(),
        asked.now,
        merge=False,
        name=asked.name,
        progress=asked.step,
    )
    return _streets(asked, report, {}, refused)


def addresses(asked: Reading) -> Loaded:
    """Door plates."""
    asked.step("read")
    plates, refused = vector.read_addresses(*_file(asked))
    asked.step("write")
    changed = load_addresses(asked.session, plates)
    return Loaded({"read": len(plates), "new_or_changed": changed}, refused)


def places(asked: Reading) -> Loaded:
    """Named places, with the faults of areas among them."""
    asked.step("read")
    frame, refused = vector.read_places(*_file(asked))
    faults = _faults(asked, named="name", covering=False)
    with _placed(asked) as placed:
        loaded = load_places(asked.session, frame, complete=asked.complete)
    counts = {"read": len(frame), **loaded.plain(), **_counted(faults)}
    return Loaded(counts, refused, faults, placed=placed)


def aliases(asked: Reading) -> Loaded:
    """Former and short names of streets and places."""
    table = read_table(asked.file, asked.mapping, needed=("alias", "name"))
    report = load_aliases(asked.session, table)
    return Loaded({"taken": report.taken, "new": report.new}, report.refused)


def boundaries(asked: Reading) -> Loaded:
    """Towns, townships and communities, with the faults of each level."""
    asked.step("read")
    frame, refused = vector.read_boundaries(*_file(asked))
    faults = _faults(asked, named="name", by="level")
    with _placed(asked) as placed:
        loaded = load_boundaries(asked.session, frame, complete=asked.complete)
    counts = {"read": len(frame), **loaded.plain(), **_counted(faults)}
    return Loaded(counts, refused, faults, placed=placed)


def grids(asked: Reading) -> Loaded:
    """Grids as areas or lists of segments, from a moment on; faults of the areas, incidents that change owner."""
    hand_over, session = hand_over_of(asked.hand_over), asked.session
    asked.step("read")
    frame, refused = vector.read_grids(*_file(asked))
    names = {
        row.code: GridName(row.code, row.name or row.code) for row in frame.itertuples(index=False)
    }
    from_at = moment_of(asked.from_, asked.desk.zone, asked.now)
    drawn = not ("segment_id" in frame and frame["segment_id"].notna().any())
    faults = None
    if not drawn:
        ids = set(session.scalars(select(Segment.id).where(Segment.gone_at.is_(None))))
        holdings = _listed(frame, ids)
    else:
        faults = _faults(asked, named="code")
        holdings = segments_by_area(session, frame)
    asked.step("write")
    changed = put_in_force(session, list(names.values()), holdings, from_at, hand_over=hand_over)
    if drawn:
        put_areas(session, frame, from_at)
    incidents = incidents_at(session, from_at)
    followed = Followed([], [])
    if not asked.dry_run:
        followed = follow_changes(session, asked.desk, asked.now)
    counts = {
        "grids": len(names), "sides_changed": changed, "from": from_at.isoformat(),
        **counts_of(followed), **_counted(faults),
    }  # fmt: skip
    return Loaded(counts, refused, faults, incidents)


def cells(asked: Reading) -> Loaded:
    """Standard unit cells (code, area) in place of the present ones."""
    asked.step("read")
    named = asked.mapping or {"code": "code"}
    known = {"name": named.get("code", "code"), **named}
    frame, refused = vector.read_grids(asked.file, asked.layer, known, asked.crs, datum_change)
    asked.step("write")
    taken, more = load_cells(asked.session, frame)
    return Loaded({"taken": taken}, [*refused, *more])


def _file(asked: Reading) -> tuple[Any, ...]:
    return asked.file, asked.layer, asked.mapping, asked.crs, datum_change


def _faults(
    asked: Reading, *, named: str, by: str | None = None, covering: bool = True
) -> gpd.GeoDataFrame:
    return faults_of_file(asked.session, *_file(asked), named=named, by=by, covering=covering)


def _placed(asked: Reading) -> AbstractContextManager[list[PlaceChange]]:
    return placed_otherwise(asked.session, asked.desk.settings, asked.now, asked=asked.dry_run)


def _counted(faults: gpd.GeoDataFrame | None) -> dict[str, int]:
    if faults is None:
        return {}
    return {f"faults_{kind}": n for kind, n in fault_counts(faults).items()}


def _listed(frame: pd.DataFrame, known: set[int]) -> list[Holding]:
    """One grid for both sides of a segment, or for the side that a row names; a later row goes before.

    Raises NotFound `crews.segment_unknown`; BadInput `grids.side_unknown`.
    """
    codes: dict[tuple[int, str], str] = {}
    for row in frame.itertuples(index=False):
        written = str(row.segment_id).strip()
        if not written.isdigit() or int(written) not in known:
            raise NotFound("crews.segment_unknown", field="segment_id", segment_id=written)
        told = row.side.strip().lower() if isinstance(row.side, str) else ""
        if told and told not in SIDE_WORDS:
            raise BadInput("grids.side_unknown", field="side", side=told)
        for side in (SIDE_WORDS[told],) if told else SIDES:
            codes[int(written), side] = str(row.code)
    return [Holding(segment_id, side, code) for (segment_id, side), code in codes.items()]


def _empty_frame() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"geometry": []}, crs=4326)


def _streets(
    asked: Reading, report: TownReport, source: dict[str, Any], refused: list[Any]
) -> Loaded:
    left = open_on_gone_segments(asked.session)
    counts = {**report.plain(), **source, "open_incidents_on_gone_segments": len(left)}
    return Loaded(counts, refused, more=(report, left))
