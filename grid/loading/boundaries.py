"""Administrative boundaries into the database: the same area keeps its row, whatever was edited of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import shapely
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import ewkb
from grid.core.errors import BadInput
from grid.loading.matching import (
    Loaded,
    Names,
    joined_names,
    multipolygon,
    plain_text,
    same_shape,
)
from grid.sources.base import ABSENT
from grid.town import ground_changed, lock_ground

# With its id, how the layer `boundaries` names a row: by it a file that was exported knows its rows again.
SOURCE = "boundary/"


@dataclass(frozen=True, slots=True)
class _Row:
    """A boundary; `id` None for one that is not there yet, `source` what a file calls it."""

    level: str
    name: str
    names: Names
    code: str | None
    area: shapely.Geometry
    id: int | None = None
    source: str | None = None


def load_boundaries(
    session: Session, boundaries: gpd.GeoDataFrame, *, complete: bool = False
) -> Loaded:
    """Loads boundaries (name, names, level, code, area); the town's own area becomes its boundary.

    A row is the one of its `source_key` (as exported), else of its level and code, else of its level and name.
    `complete`: the file has all of the levels it holds, and what it lacks of them is taken away. Raises BadInput
    `boundaries.name_taken` (level, name).
    """
    rows = _arriving(boundaries)
    if not rows:
        return Loaded()
    lock_ground(session)
    known = _known(session)
    wanted = _matched(rows, known, boundaries.attrs.get(ABSENT, frozenset()))
    levels, met = {row.level for row in rows}, {row.id for row in wanted}
    gone = [k for k, row in known.items() if complete and row.level in levels and k not in met]
    new = [row for row in wanted if row.id is None]
    changed = [row for row in wanted if row.id is not None and _differs(row, known[row.id])]
    _refuse_taken({k: row for k, row in known.items() if k not in gone}, [*new, *changed])
    _write(session, known, gone, new, changed)
    if _moves_the_town(session, wanted) or gone or new or changed:
        ground_changed(session)
    return Loaded(len(new), len(changed), len(gone))


def _arriving(frame: gpd.GeoDataFrame) -> list[_Row]:
    """The rows of a file; of several with one level and name, the last."""
    found: dict[tuple[str, str], _Row] = {}
    for row in frame.itertuples(index=False):
        area = multipolygon(row.geometry)
        if area is None:
            continue
        names = row.names if isinstance(row.names, dict) else {}
        source = plain_text(getattr(row, "source_key", None))
        made = _Row(row.level, row.name, names, plain_text(row.code), area, source=source)
        found[made.level, made.name] = made
    return list(found.values())


def _known(session: Session) -> dict[int, _Row]:
    rows = session.execute(
        text(
            "select id, level, name, names, code, st_asbinary(area) as area from boundary order by id"
        )
    )
    return {
        row.id: _Row(
            row.level, row.name, row.names, row.code, shapely.from_wkb(bytes(row.area)), row.id,
            f"{SOURCE}{row.id}",
        )
        for row in rows
    }  # fmt: skip


def _matched(rows: Sequence[_Row], known: Mapping[int, _Row], absent: frozenset[str]) -> list[_Row]:
    """Each row with the id it has there; what its file has no column for stays as it is."""
    by_source = {row.source: k for k, row in known.items()}
    codes = Counter((row.level, row.code) for row in [*known.values(), *rows] if row.code)
    by_code = {
        # A code that several have on one side tells nobody apart: on each side it stands once.
        (row.level, row.code): k
        for k, row in known.items()
        if row.code and codes[row.level, row.code] <= 2
    }
    by_name = {(row.level, row.name): k for k, row in known.items()}
    ids: dict[int, int] = {}
    for keys in (
        [by_source.get(row.source) for row in rows],
        [by_code.get((row.level, row.code)) if row.code else None for row in rows],
        [by_name.get((row.level, row.name)) for row in rows],
    ):
        for place, key in enumerate(keys):
            if key is not None and place not in ids and key not in ids.values():
                ids[place] = key
    spoken = {language for row in rows for language in row.names}
    found = []
    for place, row in enumerate(rows):
        if place in ids:
            was = known[ids[place]]
            code = was.code if "code" in absent else row.code
            names = joined_names(was.names, row.names, spoken)
            row = replace(row, id=was.id, code=code, names=names)
        found.append(row)
    return found


def _differs(row: _Row, was: _Row) -> bool:
    told = (row.level, row.name, row.names, row.code)
    return told != (was.level, was.name, was.names, was.code) or not same_shape(row.area, was.area)


def _refuse_taken(known: Mapping[int, _Row], written: Sequence[_Row]) -> None:
    """Two boundaries of a level never have one name."""
    after = {k: (row.level, row.name) for k, row in known.items()}
    after |= {row.id: (row.level, row.name) for row in written if row.id is not None}
    count = Counter([*after.values(), *((r.level, r.name) for r in written if r.id is None)])
    for (level, name), times in count.items():
        if times > 1:
            raise BadInput("boundaries.name_taken", field="name", level=level, name=name)


def _write(
    session: Session,
    known: Mapping[int, _Row],
    gone: Sequence[int],
    new: Sequence[_Row],
    changed: Sequence[_Row],
) -> None:
    session.execute(text("delete from boundary where id = any(:ids)"), {"ids": list(gone)})
    renamed = [row for row in changed if row.id is not None and row.name != known[row.id].name]
    # Two that change their names with each other would stand in each other's way.
    session.execute(
        text("update boundary set name = '-> ' || id where id = any(:ids)"),
        {"ids": [row.id for row in renamed]},
    )
    for row in changed:
        session.execute(
            text(
                "update boundary set level = :level, name = :name, names = :names, code = :code,"
                " area = cast(:area as geometry) where id = :id"
            ),
            _values(row) | {"id": row.id},
        )
    for row in new:
        session.execute(
            text(
                "insert into boundary (level, name, names, code, area)"
                " values (:level, :name, :names, :code, cast(:area as geometry))"
            ),
            _values(row),
        )
    old = {known[row.id].name: row.name for row in renamed if row.id and row.level == "community"}
    session.execute(
        text(
            "update cell c set community = n.new from unnest(cast(:old as text[]), cast(:new as text[]))"
            " n (old, new) where c.community = n.old"
        ),
        {"old": list(old), "new": list(old.values())},
    )


def _values(row: _Row) -> dict[str, object]:
    return {
        "level": row.level, "name": row.name, "names": Jsonb(row.names), "code": row.code,
        "area": ewkb(row.area),
    }  # fmt: skip


def _moves_the_town(session: Session, wanted: Sequence[_Row]) -> bool:
    """The town's boundary is the area of its own level as it is stored now; whether that made it another."""
    names = [row.name for row in wanted if row.level == "town"]
    if not names:
        return False
    done = session.execute(
        text(
            "update town t set boundary = b.area from boundary b where b.level = 'town'"
            " and b.name = :name and t.boundary is distinct from b.area"
        ),
        {"name": names[-1]},
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]
