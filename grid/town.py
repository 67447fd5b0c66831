"""Which town this is: its plane, its boundary, and the version of its ground."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from grid.change_counts import COUNTED, Marks, marks_of
from grid.core.crs import plane_for
from grid.core.database import ask
from grid.core.errors import Conflict
from grid.models import Town


@dataclass(frozen=True, slots=True)
class TownFacts:
    """What every step needs of the town: names, plane (EPSG, metres), versions of ground, learned places and rules."""

    name: str
    name_en: str | None
    plane_epsg: int
    ground_version: int
    learned_version: int = 1
    rules_version: int = 1


def town_facts(session: Session) -> TownFacts:
    """The town's facts; Conflict `town.empty` before any street was imported."""
    rows = ask(
        session,
        "select name, name_en, plane_epsg, ground_version, learned_version, rules_version from town",
    )
    if not rows:
        raise Conflict("town.empty")
    return TownFacts(*rows[0])


def town_and_marks(session: Session) -> tuple[TownFacts, Marks | None]:
    """`town_facts` and `read_marks` in one statement; Conflict `town.empty` before any street was imported."""
    rows = ask(session, _TOWN_AND_MARKS)
    if not rows:
        raise Conflict("town.empty")
    marks = marks_of([row[6:] for row in rows]) if rows[0][6] is not None else None
    return TownFacts(*rows[0][:6]), marks


_TOWN_AND_MARKS = f"""
select t.name, t.name_en, t.plane_epsg, t.ground_version, t.learned_version, t.rules_version, c.part, {COUNTED}
from town t left join change_count c on true
"""  # noqa: S608 (made of constants)


def ensure_town(
    session: Session, lon: float, lat: float, name: str | None = None, name_en: str | None = None
) -> TownFacts:
    """The town's facts; a new town takes the plane that fits lon/lat."""
    session.execute(
        insert(Town)
        .values(id=1, name=name or "", name_en=name_en, plane_epsg=plane_for(lon, lat))
        .on_conflict_do_nothing()
    )
    if name:
        session.execute(update(Town).values(name=name, name_en=name_en))
    return town_facts(session)


def ground_changed(session: Session) -> None:
    """Raises the ground version, so that every process reads the ground anew before it answers."""
    session.execute(update(Town).values(ground_version=Town.ground_version + 1))


def rules_changed(session: Session) -> None:
    """Gives the bureau's rules another version, so that every process reads them anew before it answers.

    From a sequence: a version that was rolled back never comes again, so nobody keeps what never was.
    """
    session.execute(update(Town).values(rules_version=text("nextval('rules_version')")))


def lock_ground(session: Session) -> None:
    """One writer of the ground at a time, until the transaction ends."""
    session.execute(text("select pg_advisory_xact_lock(7305115)"))


def try_lock_ground(session: Session) -> bool:
    """`lock_ground` without waiting; False when another writer is at work."""
    return bool(session.scalar(text("select pg_try_advisory_xact_lock(7305115)")))
