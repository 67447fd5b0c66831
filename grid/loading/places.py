"""Door plates, places and street marks into the database: what is the same keeps its row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import geopandas as gpd
import pandas as pd
import shapely
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows, ewkb
from grid.house_numbers import assign_plates
from grid.loading.matching import (
    Loaded,
    Names,
    joined_names,
    multipolygon,
    plain_text,
    same_shape,
)
from grid.sources.base import ABSENT
from grid.town import TownFacts, ground_changed, lock_ground


def load_door_plates(
    session: Session, plates: gpd.GeoDataFrame, segments: gpd.GeoDataFrame, town: TownFacts
) -> int:
    """Loads plates (street, house_number, community, geometry); returns how many were new or changed.

    `segments` are those in force (`named_lines`); each plate is tied to the nearest segment of its
    own street, so that a number knows its segment and side.
    """
    if plates.empty:
        return 0
    lock_ground(session)
    placed = assign_plates(segments, plates, town.plane_epsg)
    segment_ids = segments["id"].to_dict()
    columns = ("source_key", "street_name", "house_number", "community", "segment_id", "side")
    session.execute(
        text(
            "create temp table arriving_plate (source_key text, street_name text,"
            " house_number text, community text, segment_id bigint, side text, point geometry)"
            " on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_plate",
        (*columns, "point"),
        (
            (
                f"{row.street}|{row.house_number}|{row.geometry.x:.6f}|{row.geometry.y:.6f}",
                row.street,
                str(row.house_number),
                plain_text(row.community),
                None if pd.isna(row.segment) else int(segment_ids[row.segment]),
                None if pd.isna(row.segment) else row.side,
                ewkb(row.geometry),
            )
            for row in placed.itertuples(index=False)
        ),
    )
    result = session.execute(
        text(
            "insert into door_plate (source_key, street_id, street_name, house_number, community,"
            " segment_id, side, point)"
            # A plate may write its street otherwise ("SECOND ST", an English name): its segment tells.
            " select distinct on (a.source_key) a.source_key, coalesce(s.street_id, t.id),"
            " a.street_name, a.house_number, a.community, a.segment_id, a.side, a.point"
            " from arriving_plate a left join street t on t.name = a.street_name"
            " left join segment s on s.id = a.segment_id"
            " order by a.source_key"
            " on conflict (source_key) do update set street_id = excluded.street_id,"
            " segment_id = excluded.segment_id, side = excluded.side,"
            " community = excluded.community"
            " where (door_plate.street_id, door_plate.segment_id, door_plate.side,"
            " door_plate.community) is distinct from (excluded.street_id, excluded.segment_id,"
            " excluded.side, excluded.community)"
        )
    )
    session.execute(text("drop table arriving_plate"))
    return _finish(session, result)


def load_places(session: Session, places: gpd.GeoDataFrame, *, complete: bool = False) -> Loaded:
    """Loads places (name, names, kind, address, geometry point or area).

    A row is the one of its `source_key` (as exported), else of its name and kind at its very place. A point leaves the
    area of its place as it is, an area leaves a point that lies in it. `complete`: the file has all places of the kinds
    it holds, and what it lacks of them is taken away.
    """
    if places.empty:
        return Loaded()
    lock_ground(session)
    known = _known_places(session)
    rows = _arriving_places(places)
    ids = _matched_places(rows, known)
    absent = places.attrs.get(ABSENT, frozenset())
    spoken = {language for row in rows for language in row.names}
    new = [row for place, row in enumerate(rows) if place not in ids]
    changed = []
    for place, key in ids.items():
        row = _laid_over(known[key], rows[place], absent, spoken)
        if _differs(row, known[key]):
            changed.append((key, row))
    kinds = {row.kind for row in rows} | {known[key].kind for key in ids.values()}
    met = set(ids.values())
    gone = [k for k, row in known.items() if complete and row.kind in kinds and k not in met]
    _write_places(session, known, new, changed, gone)
    if new or changed or gone:
        ground_changed(session)
    return Loaded(len(new), len(changed), len(gone))


@dataclass(frozen=True, slots=True)
class _Place:
    """A place; `source` as it is stored or as a file says it."""

    source: str | None
    name: str
    names: Names
    kind: str
    address: str | None
    point: shapely.Point
    area: shapely.MultiPolygon | None

    @property
    def key(self) -> str:
        """What a place without a source is known by: its name and kind at its very place."""
        return f"{self.name}|{self.kind}|{self.point.x:.6f}|{self.point.y:.6f}"


def _arriving_places(frame: gpd.GeoDataFrame) -> list[_Place]:
    """The rows of a file; of several that are the same in all but their source, the first."""
    found: dict[tuple[str | None, str], _Place] = {}
    inner = shapely.point_on_surface(frame.geometry.to_numpy())
    for row, point in zip(frame.itertuples(index=False), inner, strict=True):
        names = row.names if isinstance(row.names, dict) else {}
        source = plain_text(getattr(row, "source_key", None))
        area = multipolygon(row.geometry)
        made = _Place(source, row.name, names, row.kind, plain_text(row.address), point, area)
        found.setdefault((source, made.key), made)
    return list(found.values())


def _known_places(session: Session) -> dict[int, _Place]:
    rows = session.execute(
        text(
            "select id, source_key, name, names, kind, address, st_asbinary(point) as point,"
            " st_asbinary(area) as area from place order by id"
        )
    ).all()
    points = shapely.from_wkb([bytes(row.point) for row in rows])
    areas = shapely.from_wkb([None if row.area is None else bytes(row.area) for row in rows])
    return {
        row.id: _Place(row.source_key, row.name, row.names, row.kind, row.address, point, area)
        for row, point, area in zip(rows, points, areas, strict=True)
    }


def _matched_places(rows: Sequence[_Place], known: Mapping[int, _Place]) -> dict[int, int]:
    """Which place (id) each row (by its number) is; every place once. What is copied in a drawing program takes its
    source along: of several rows with one source it is the one that has not moved, else the first.
    """
    by_source = {row.source: key for key, row in known.items()}
    by_key = {row.key: key for key, row in known.items()}
    ids: dict[int, int] = {}
    taken: set[int] = set()

    def take(keys: Iterable[tuple[int, int | None]]) -> None:
        for place, key in keys:
            if key is not None and place not in ids and key not in taken:
                ids[place] = key
                taken.add(key)

    sources = [by_source.get(row.source) if row.source else None for row in rows]
    still = (
        (place, key)
        for place, key in enumerate(sources)
        if key is not None and rows[place].key == known[key].key
    )
    take(still)
    take(enumerate(sources))
    take((place, by_key.get(row.key)) for place, row in enumerate(rows))
    # A file that was read before any change of what it tells.
    take((place, by_source.get(row.key)) for place, row in enumerate(rows))
    return ids


def _laid_over(was: _Place, row: _Place, absent: frozenset[str], spoken: Collection[str]) -> _Place:
    """A place as a file has it; what the file has no column for stays."""
    area = row.area if row.area is not None else was.area
    inside = row.area is not None and bool(shapely.intersects(row.area, was.point))
    return _Place(
        was.source,
        row.name,
        joined_names(was.names, row.names, spoken),
        was.kind if "kind" in absent else row.kind,
        was.address if "address" in absent else row.address,
        was.point if inside else row.point,
        area,
    )


def _differs(row: _Place, was: _Place) -> bool:
    told = (row.name, row.names, row.kind, row.address)
    if told != (was.name, was.names, was.kind, was.address):
        return True
    return not (same_shape(row.point, was.point) and same_shape(row.area, was.area))


def _write_places(
    session: Session,
    known: Mapping[int, _Place],
    new: Sequence[_Place],
    changed: Sequence[tuple[int, _Place]],
    gone: Sequence[int],
) -> None:
    session.execute(text("delete from place where id = any(:ids)"), {"ids": list(gone)})
    session.execute(
        text(
            "create temp table arriving_place (id bigint, source_key text, name text, names jsonb,"
            " kind text, address text, point geometry, area geometry) on commit drop"
        )
    )
    left = set(gone)
    used = {row.source for key, row in known.items() if key not in left}
    added: list[tuple[int | None, _Place]] = []
    for row in new:
        # What was first known by this key may have moved away since.
        numbers = (row.key if n == 1 else f"{row.key}#{n}" for n in count(1))
        source = next(key for key in numbers if key not in used)
        used.add(source)
        added.append((None, replace(row, source=source)))
    copy_rows(
        session,
        "arriving_place",
        ("id", "source_key", "name", "names", "kind", "address", "point", "area"),
        (
            (key, row.source, row.name, Jsonb(row.names), row.kind, row.address,
             ewkb(row.point), ewkb(row.area))
            for key, row in [*changed, *added]
        ),
    )  # fmt: skip
    session.execute(
        text(
            "update place p set name = a.name, names = a.names, kind = a.kind, address = a.address,"
            " point = a.point, area = a.area from arriving_place a where a.id = p.id"
        )
    )
    session.execute(
        text(
            "insert into place (source_key, name, names, kind, address, point, area)"
            " select source_key, name, names, kind, address, point, area from arriving_place"
            " where id is null"
        )
    )
    session.execute(text("drop table arriving_place"))


def load_street_marks(session: Session, marks: gpd.GeoDataFrame) -> int:
    """Loads kilometre posts and numbered facilities (kind, street, code, geometry point)."""
    if marks.empty:
        return 0
    lock_ground(session)
    result = session.execute(
        text(
            "insert into street_mark (kind, street_name, code, point)"
            " values (:kind, :street, :code, cast(:point as geometry))"
            " on conflict (kind, street_name, code) do nothing"
        ),
        [
            {"kind": r.kind, "street": r.street, "code": r.code, "point": ewkb(r.geometry)}
            for r in marks.itertuples(index=False)
        ],
    )
    return _finish(session, result)


def _finish(session: Session, result: object) -> int:
    changed = max(0, int(result.rowcount))  # type: ignore[attr-defined]
    if changed:
        ground_changed(session)
    return changed
