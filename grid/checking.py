"""The invariants of the ground, each with what is wrong and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.areas import SHARED_M2
from grid.connected import Streets, in_pieces
from grid.core.crs import from_plane
from grid.core.errors import Trouble
from grid.crews import missing_posts
from grid.dividing import read_network
from grid.division.units import form_units
from grid.kept_territory import read_territory, standing
from grid.periods import outside_grid, outside_person, outside_segment, without_owner
from grid.territory import BadPart

SHOWN = 10
MEND = "gridward check --mend"


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant that does not hold: its code, how often, which things, and the repair."""

    code: str
    count: int
    things: list[Any] = field(default_factory=list)
    repair: str = ""


def check_ground(session: Session, now: datetime) -> list[Finding]:
    """Every finding on the ground; empty when all is well."""
    found = [
        *_rows(
            session,
            "ground.side_without_grid",
            "select s.id from segment s cross join (values ('left'), ('right')) side (name)"
            " where s.gone_at is null and exists (select 1 from grid where valid @> cast(:now as timestamptz))"
            " and not exists (select 1 from grid_segment h where h.segment_id = s.id"
            " and h.side = side.name and h.valid @> cast(:now as timestamptz)) order by s.id",
            "gridward divide --grids N --keep --apply",
            now,
        ),
        *_rows(
            session,
            "ground.gone_segment_held",
            "select distinct s.id from segment s join grid_segment h on h.segment_id = s.id"
            " where s.gone_at is not null and h.valid @> cast(:now as timestamptz) order by s.id",
            MEND,
            now,
        ),
        *_rows(
            session,
            "ground.ended_grid_holds",
            "select distinct g.code from grid g join grid_segment h on h.grid_id = g.id"
            " where h.valid @> cast(:now as timestamptz)"
            " and not g.valid @> cast(:now as timestamptz) order by g.code",
            "gridward divide --grids N --keep --apply",
            now,
        ),
        *_posts(session, now),
        *_connectedness(session, now),
        *_periods(session),
        *_areas(session),
    ]
    codes = {finding.code for finding in found}
    if "ground.side_without_grid" not in codes and "ground.area_invalid" not in codes:
        found += _territory(session, now)
    return found


def _posts(session: Session, now: datetime) -> list[Finding]:
    things = [
        f"{code} {post}" for code, posts in missing_posts(session, now).items() for post in posts
    ]
    if not things:
        return []
    return [Finding("ground.post_empty", len(things), things[:SHOWN], "gridward import crews FILE")]


def _connectedness(session: Session, now: datetime) -> list[Finding]:
    held = session.execute(
        text(
            "select distinct h.segment_id, h.grid_id from grid_segment h"
            " join segment s on s.id = h.segment_id and s.gone_at is null"
            " where h.valid @> cast(:now as timestamptz)"
        ),
        {"now": now},
    ).all()
    if not held:
        return []
    town = read_network(session, at=now)
    network = town.network
    units = form_units(network, max(len(town.grids), 1), in_force=town.in_force)
    row = np.searchsorted(network.segment_ids, [h.segment_id for h in held])
    broken = in_pieces(
        Streets(network.segment_ids, network.from_node, network.to_node),
        np.asarray(row, dtype=np.int64),
        np.array([h.grid_id for h in held], dtype=np.int64),
        np.asarray(units.links, dtype=np.int64).reshape(-1, 2),
    )
    codes = sorted(town.grids[grid_id][0] for grid_id in broken if grid_id in town.grids)
    if not codes:
        return []
    repair = "gridward divide --grids N --keep --apply"
    return [Finding("ground.grid_disconnected", len(codes), codes[:SHOWN], repair)]


def _periods(session: Session) -> list[Finding]:
    told = {
        "ground.outside_grids_life": outside_grid(session),
        "ground.outside_segments_life": outside_segment(session),
        "ground.outside_persons_life": outside_person(session),
        "ground.time_without_owner": without_owner(session),
    }
    return [
        Finding(code, len(things), things[:SHOWN], MEND) for code, things in told.items() if things
    ]


def _areas(session: Session) -> list[Finding]:
    """Areas that cannot be used, and areas of two grids on the same ground at any moment."""
    named = "coalesce(a.name, 'area ' || a.id) || ' (' || g.code || ')'"
    broken = list(
        session.scalars(
            text(
                f"select {named} from grid_area a join grid g on g.id = a.grid_id"  # noqa: S608 (fixed words)
                " where not st_isvalid(a.area_plane) or st_area(a.area_plane) = 0 order by a.id"
            )
        )
    )
    shared = list(
        session.scalars(
            text(
                f"select {named} || ' / ' || {named.replace('a.', 'b.').replace('g.', 'o.')}"  # noqa: S608 (fixed words)
                " from grid_area a join grid g on g.id = a.grid_id"
                " join grid_area b on b.id > a.id and b.valid && a.valid and b.area_plane && a.area_plane"
                " join grid o on o.id = b.grid_id and o.code <> g.code"
                " where st_isvalid(a.area_plane) and st_isvalid(b.area_plane)"
                " and st_area(st_intersection(a.area_plane, b.area_plane)) > :least order by a.id, b.id"
            ),
            {"least": SHARED_M2},
        )
    )
    told = {"ground.area_invalid": broken, "ground.areas_overlap": shared}
    return [
        Finding(code, len(things), things[:SHOWN], MEND) for code, things in told.items() if things
    ]


def _territory(session: Session, now: datetime) -> list[Finding]:
    """Whether the kept territory is that of the present ground, and whether what readers get is whole."""
    divided = session.scalar(
        text("select exists (select 1 from grid where valid @> cast(:now as timestamptz))"),
        {"now": now},
    )
    if not divided:
        return []
    state = standing(session, now)
    found = []
    if state.kept_version is not None and not state.same_ground:
        versions = [f"{state.kept_version} / {state.ground_version}"]
        found.append(Finding("ground.territory_outdated", 1, versions, "gridward grids territory"))
    try:
        made, _ = read_territory(session, now)
    except Trouble as trouble:
        return [*found, Finding("ground.territory_broken", 1, [trouble.code], MEND)]
    bad = [_named(part, made.grids, made.plane_epsg) for part in made.bad_parts()]
    if bad:
        found.append(Finding("ground.territory_broken", len(bad), bad[:SHOWN], MEND))
    return found


def _named(part: BadPart, grids: dict[int, tuple[str, str]], epsg: int) -> str:
    """A bad part for people: what, of which grids, how large, where (lon, lat)."""
    codes = "/".join(grids[label][0] if label in grids else str(label) for label in part.labels)
    middle = part.shape.representative_point() if part.shape.is_valid else part.shape.centroid
    lon, lat = from_plane(middle.x, middle.y, epsg)
    where = f"{float(lon):.5f},{float(lat):.5f}"
    return " ".join(word for word in (part.kind, codes, f"{part.area_m2:.1f} m²", where) if word)


def _rows(session: Session, code: str, query: str, repair: str, now: datetime) -> list[Finding]:
    things = [row[0] for row in session.execute(text(query), {"now": now})]
    return [Finding(code, len(things), things[:SHOWN], repair)] if things else []
