"""Street segments into force: compared with what is there, so that the same segment keeps its id.

A file of streets is the whole street network of the town. `grid.comparison` says what became of each
segment; one that is the same street between the same ends keeps its row, takes the file's line and
keeps the direction in which it was first drawn, so that left and right stay what they were (`turned`
remembers that the file draws it the other way, so that the same file again shows no difference). What the
file no longer has is gone (its row and its past stay); the rest is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from grid.comparison import Comparison, Lines, compare
from grid.core.bulk import copy_rows, ewkb
from grid.core.crs import geometries_to_plane
from grid.core.errors import BadInput
from grid.loading.heirs import inherit, retire
from grid.loading.street_change import StreetChange, street_change
from grid.models import CLASS_RANK, Crossing, Segment, Street
from grid.town import ensure_town, ground_changed, lock_ground

UNKNOWN_CLASS_RANK = max(CLASS_RANK.values())
RANGES = ("left_from", "left_to", "right_from", "right_to")
# A line drawn the other way has its left on the right, and its last number first.
TURNED_RANGES = ("right_to", "right_from", "left_to", "left_from")
TURNED_ONEWAY = {"forward": "backward", "backward": "forward"}
# Labels of other names that are no language.
_KINDS_OF_NAMES = frozenset({"alt", "old", "short", "loc", "official", "ref"})
# What a segment takes from the file; the key is the column of `segment`.
TAKEN = {
    "source_key": "text",
    "street_id": "bigint",
    "class": "text",
    "rank": "smallint",
    "form": "text",
    "oneway": "text",
    "level": "smallint",
    "from_crossing_id": "bigint",
    "to_crossing_id": "bigint",
    "length_m": "double precision",
    "turned": "boolean",
    "line": "geometry",
    "line_plane": "geometry",
}


def load_streets(
    session: Session,
    segments: gpd.GeoDataFrame,
    crossings: gpd.GeoDataFrame,
    now: datetime,
    *,
    town_name: str | None = None,
    town_name_en: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> StreetChange:
    """Puts segments (columns of `grid.segments`, EPSG:4326) into force from `now`.

    Raises BadInput `import.no_streets` for an empty frame.
    """
    if segments.empty:
        raise BadInput("import.no_streets")
    tell = progress or (lambda _message: None)
    lock_ground(session)
    west, south, east, north = segments.total_bounds
    town = ensure_town(session, (west + east) / 2, (south + north) / 2, town_name, town_name_en)
    tell("compare")
    known = _segments_in_force(session)
    planes = geometries_to_plane(segments.geometry.to_numpy(), town.plane_epsg)
    was_turned = known["turned"].to_numpy(dtype=bool)
    drawn = known["plane"].to_numpy(dtype=object)
    compared = compare(
        Lines(
            known["name"].to_numpy(dtype=object),
            known["level"].to_numpy(dtype=np.int64),
            np.where(was_turned, shapely.reverse(drawn), drawn),
        ),
        Lines(
            segments["name"].to_numpy(dtype=object),
            segments["level"].to_numpy(dtype=np.int64),
            planes,
        ),
    )
    street_ids = _street_ids(session, segments)
    crossing_ids = _crossing_ids(session, crossings, town.plane_epsg)
    tell("write")
    turned = _against_ours(compared, was_turned)
    arriving = _as_stored(segments, planes, turned, street_ids, crossing_ids)
    known_ids = known["id"].to_numpy(dtype=np.int64)
    fresh = compared.kept < 0
    ids = np.empty(len(segments), dtype=np.int64)
    ids[~fresh] = known_ids[compared.kept[~fresh]]
    ids[fresh] = _next_ids(session, int(fresh.sum()))
    gone = known_ids[~np.isin(known_ids, ids[~fresh])].tolist()
    changed = _refresh(session, arriving[~fresh], ids[~fresh])
    _insert(session, arriving[fresh], ids[fresh], now)
    heirs = compared.heirs
    heirs = heirs.assign(turned=heirs["turned"].to_numpy() ^ was_turned[heirs["old"].to_numpy()])
    inherit(session, heirs, known_ids, ids, now)
    retire(session, gone, now)
    # The next statements join these tables; without figures of them a metropolis is joined row by row.
    session.execute(text("analyze segment, crossing, street"))
    if fresh.any() or gone or changed:
        ground_changed(session)
    return street_change(
        known,
        segments,
        compared,
        rows_changed=changed,
        streets=len(street_ids),
        crossings=len(crossing_ids),
    )


def _against_ours(compared: Comparison, was_turned: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each arriving segment: drawn against the direction that we keep."""
    kept = compared.kept >= 0
    turned = np.zeros(len(compared.kept), dtype=bool)
    turned[kept] = compared.turned[kept] ^ was_turned[compared.kept[kept]]
    return turned


def _segments_in_force(session: Session) -> gpd.GeoDataFrame:
    """Segments in force: id, name, level, length_m, source_key, turned, plane (line in the plane); geometry 4326."""
    rows = session.execute(
        text(
            "select s.id, t.name, s.level, s.length_m, s.source_key, s.turned,"
            " st_asbinary(s.line), st_asbinary(s.line_plane) from segment s"
            " left join street t on t.id = s.street_id where s.gone_at is null order by s.id"
        )
    ).all()
    columns = ["id", "name", "level", "length_m", "source_key", "turned", "line", "plane"]
    frame = pd.DataFrame([tuple(row) for row in rows], columns=columns)
    frame["name"] = frame["name"].astype(object)
    frame["plane"] = np.asarray(_lines(frame["plane"]), dtype=object)
    return gpd.GeoDataFrame(frame, geometry=_lines(frame.pop("line")), crs=4326)


def _lines(stored: pd.Series) -> Any:
    return shapely.from_wkb(np.array([bytes(line) for line in stored], dtype=object))


def _next_ids(session: Session, count: int) -> list[int]:
    """Ids for new segments, before they are written: their heirs' holdings name them."""
    return list(
        session.scalars(
            text(
                "select nextval(pg_get_serial_sequence('segment', 'id'))"
                " from generate_series(1, :count)"
            ),
            {"count": count},
        )
    )


def _street_ids(session: Session, segments: gpd.GeoDataFrame) -> dict[str, int]:
    """Ids of the named streets, new ones added; the names in other languages are kept up to date."""
    told: dict[str, list[object]] = {}
    named = segments[segments["name"].notna()]
    for name, names in zip(named["name"], named["names"], strict=True):
        told.setdefault(name, []).append(names)
    rows = [{"name": name, "names": other_names(names)} for name, names in told.items()]
    if rows:
        statement = insert(Street)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"names": Street.names.op("||")(statement.excluded.names)},
            ),
            rows,
        )
    return dict(session.execute(select(Street.name, Street.id)).all())


def other_names(told: Iterable[object]) -> dict[str, str]:
    """The other names of one street from all its lines; those of one kind apart by `;`.

    A language keeps the spelling told first, since it is shown; further ones stand under alt:LANGUAGE.
    """
    found: dict[str, list[str]] = {}
    for names in told:
        for label, written in names.items() if isinstance(names, dict) else ():
            language = label.partition(":")[0] not in _KINDS_OF_NAMES
            for part in filter(None, (part.strip() for part in str(written).split(";"))):
                shown = found.setdefault(label, [part])
                held = (
                    found.setdefault(f"alt:{label}", [])
                    if language and part not in shown
                    else shown
                )
                if part not in held:
                    held.append(part)
    return {label: ";".join(parts) for label, parts in found.items()}


def _crossing_ids(session: Session, crossings: gpd.GeoDataFrame, plane_epsg: int) -> dict[int, int]:
    """Database id of each crossing of the frame, by its index there."""
    points = crossings.geometry.to_numpy()
    planes = geometries_to_plane(points, plane_epsg)
    session.execute(
        text(
            "create temp table arriving_crossing (source_key text, point geometry,"
            " point_plane geometry) on commit drop"
        )
    )
    copy_rows(
        session,
        "arriving_crossing",
        ("source_key", "point", "point_plane"),
        (
            (key, ewkb(point), ewkb(plane, None))
            for key, point, plane in zip(crossings["source_key"], points, planes, strict=True)
        ),
    )
    session.execute(
        text(
            "insert into crossing (source_key, point, point_plane)"
            " select source_key, point, point_plane from arriving_crossing"
            " on conflict (source_key) do update"
            " set point = excluded.point, point_plane = excluded.point_plane"
        )
    )
    ids = dict(
        session.execute(
            select(Crossing.source_key, Crossing.id).where(
                Crossing.source_key.in_(select(text("source_key from arriving_crossing")))
            )
        ).all()
    )
    session.execute(text("drop table arriving_crossing"))
    return {
        int(node): ids[key]
        for node, key in zip(crossings.index, crossings["source_key"], strict=True)
    }


def _as_stored(
    segments: gpd.GeoDataFrame,
    planes: np.ndarray,
    turned: np.ndarray,
    street_ids: dict[str, int],
    crossing_ids: dict[int, int],
) -> pd.DataFrame:
    """Rows for the table `segment`: columns TAKEN and RANGES, each in the direction it is to be kept in."""
    lines = segments.geometry.to_numpy()
    nodes = segments[["from_node", "to_node"]].to_numpy(dtype=np.int64)
    nodes = np.where(turned[:, None], nodes[:, ::-1], nodes)
    ends = np.array([[crossing_ids[a], crossing_ids[b]] for a, b in nodes.tolist()])
    numbers = segments[list(RANGES)].astype("Int64").reset_index(drop=True)
    for ours, theirs in zip(RANGES, TURNED_RANGES, strict=True):
        opposite = segments[theirs].astype("Int64").reset_index(drop=True)
        numbers[ours] = numbers[ours].mask(turned, opposite)
    oneway = segments["oneway"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "source_key": segments["source_key"].to_numpy(),
            "street_id": [None if pd.isna(n) else street_ids[n] for n in segments["name"]],
            "class": segments["class_"].to_numpy(),
            "rank": [CLASS_RANK.get(c, UNKNOWN_CLASS_RANK) for c in segments["class_"]],
            "form": segments["form"].to_numpy(),
            "oneway": [
                TURNED_ONEWAY.get(way, way) if back else way
                for way, back in zip(oneway, turned, strict=True)
            ],
            "level": segments["level"].to_numpy(dtype=np.int64),
            "from_crossing_id": ends[:, 0],
            "to_crossing_id": ends[:, 1],
            "length_m": segments["length_m"].to_numpy(dtype=np.float64),
            "turned": turned.tolist(),
            "line": np.where(turned, shapely.reverse(lines), lines),
            "line_plane": np.where(turned, shapely.reverse(planes), planes),
            **{name: numbers[name].astype(object).where(numbers[name].notna()) for name in RANGES},
        }
    )


def _rows(arriving: pd.DataFrame, ids: np.ndarray, *more: object) -> Any:
    """Rows for COPY: id, columns TAKEN, RANGES, then `more`."""
    for segment_id, row in zip(
        ids.tolist(), arriving[[*TAKEN, *RANGES]].itertuples(index=False, name=None), strict=True
    ):
        *plain, line, plane = row[: len(TAKEN)]
        yield (
            segment_id,
            *(_plain(value) for value in plain),
            ewkb(line),
            ewkb(plane, None),
            *(_whole(value) for value in row[len(TAKEN) :]),
            *more,
        )


def _plain(value: object) -> object:
    """A street's id turns into a float beside unnamed ones: whole again, or none."""
    if isinstance(value, float) and np.isnan(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _whole(value: object) -> int | None:
    return None if pd.isna(value) else int(value)  # type: ignore[call-overload]


def _insert(session: Session, fresh: pd.DataFrame, ids: np.ndarray, now: datetime) -> None:
    copy_rows(session, "segment", ("id", *TAKEN, *RANGES, "since_at"), _rows(fresh, ids, now))


def _refresh(session: Session, kept: pd.DataFrame, ids: np.ndarray) -> int:
    """Brings the rows of kept segments up to the file; how many really changed.

    A range that the file does not tell is kept: it may have been worked out from door plates.
    """
    if kept.empty:
        return 0
    typed = ", ".join(f"{name} {kind}" for name, kind in TAKEN.items())
    session.execute(
        text(
            f"create temp table kept_segment (id bigint, {typed}, left_from int, left_to int,"
            " right_from int, right_to int) on commit drop"
        )
    )
    copy_rows(session, "kept_segment", ("id", *TAKEN, *RANGES), _rows(kept, ids))
    # Not counted: the street has not changed, only the file's way to draw it.
    session.execute(
        text(
            "update segment s set turned = k.turned from kept_segment k"
            " where k.id = s.id and k.turned <> s.turned"
        )
    )
    values = {name: f"k.{name}" for name in TAKEN}
    values |= {name: f"coalesce(k.{name}, s.{name})" for name in RANGES}
    # Lines are compared byte by byte: `=` on geometries looks at direction and place, not at precision.
    ours = [f"st_asbinary(s.{n})" if n.startswith("line") else f"s.{n}" for n in values]
    theirs = [f"st_asbinary({v})" if n.startswith("line") else v for n, v in values.items()]
    result = session.execute(
        text(
            "update segment s set "  # noqa: S608 (fixed names)
            + ", ".join(f"{name} = {value}" for name, value in values.items())
            + " from kept_segment k where k.id = s.id and"
            + f" ({', '.join(ours)}) is distinct from ({', '.join(theirs)})"
        )
    )
    session.execute(text("drop table kept_segment"))
    return int(result.rowcount)  # type: ignore[attr-defined]


def named_lines(session: Session) -> gpd.GeoDataFrame:
    """Segments in force: id, name, names, class_, level, form, length_m, number ranges; EPSG:4326."""
    rows = session.execute(
        select(
            Segment.id,
            Street.name,
            Street.names,
            Segment.class_,
            Segment.level,
            Segment.form,
            Segment.length_m,
            Segment.left_from,
            Segment.left_to,
            Segment.right_from,
            Segment.right_to,
            text("st_asbinary(segment.line)"),
        )
        .outerjoin(Street, Street.id == Segment.street_id)
        .where(Segment.gone_at.is_(None))
        .order_by(Segment.id)
    ).all()
    columns = ["id", "name", "names", "class_", "level", "form", "length_m", *RANGES, "line"]
    frame = pd.DataFrame([tuple(row) for row in rows], columns=columns)
    lines = shapely.from_wkb([bytes(line) for line in frame.pop("line")])
    for name in RANGES:
        frame[name] = frame[name].astype("Int64")
    return gpd.GeoDataFrame(frame, geometry=lines, crs=4326)
