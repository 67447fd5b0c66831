"""Units, staff and crews into the database; refused rows come back with their reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd
from psycopg.errors import ExclusionViolation
from psycopg.types.range import TimestamptzRange
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grid.models import HOLDINGS, Grid, PostHolding, Segment, Staff, Unit
from grid.town import ground_changed, lock_ground

STAFF_POSTS = (
    *HOLDINGS,
    "collector",
    "operator",
    "watch_chief",
    "dispatcher",
    "evaluator",
    "analyst",
    "unit_head",
)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that was not taken: its number in the file (first data row is 2), code and values."""

    row: int
    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """What an import of people took and refused."""

    taken: int
    refused: list[RefusedRow]


def load_staff(session: Session, staff: pd.DataFrame) -> PeopleReport:
    """Loads staff_no, name, post, unit, phone (and heads_unit); a known staff number is updated.

    Refuses `staff.number_missing`, `staff.name_missing`, `staff.post_unknown`.
    """
    lock_ground(session)
    refused: list[RefusedRow] = []
    rows: list[dict[str, object]] = []
    units = _unit_ids(session, _values(staff, "unit"))
    for number, record in _records(staff):
        if not record.get("staff_no"):
            refused.append(RefusedRow(number, "staff.number_missing"))
        elif not record.get("name"):
            refused.append(
                RefusedRow(number, "staff.name_missing", {"staff_no": record["staff_no"]})
            )
        elif record.get("post") not in STAFF_POSTS:
            values = {"post": record.get("post"), "posts": ", ".join(STAFF_POSTS)}
            refused.append(RefusedRow(number, "staff.post_unknown", dict(values)))
        else:
            rows.append(
                {
                    "staff_no": record["staff_no"],
                    "name": record["name"],
                    "post": record["post"],
                    "unit_id": units.get(record.get("unit") or ""),
                    "phone": record.get("phone"),
                    "heads_unit": (record.get("heads_unit") or "").lower() in ("true", "1", "yes"),
                }
            )
    if rows:
        statement = insert(Staff)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["staff_no"],
                set_={
                    name: statement.excluded[name]
                    for name in ("name", "post", "unit_id", "phone", "heads_unit")
                },
            ),
            rows,
        )
        ground_changed(session)
    return PeopleReport(len(rows), refused)


def load_units(session: Session, units: pd.DataFrame) -> int:
    """Loads units (name, kind own|contractor)."""
    rows = [
        {"name": record["name"], "kind": record.get("kind") or "own"}
        for _, record in _records(units)
        if record.get("name")
    ]
    if rows:
        statement = insert(Unit)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"kind": statement.excluded.kind}
            ),
            rows,
        )
    return len(rows)


def load_crews(
    session: Session, crews: pd.DataFrame, now: datetime, *, time_zone: str
) -> PeopleReport:
    """Loads crews: grid_code or segment_id, a staff number or name per post, valid_from, valid_to.

    A new holder ends the present one at `valid_from` (default `now`). Refuses a row as a whole:
    `crews.grid_unknown`, `crews.segment_unknown`, `crews.place_missing`, `crews.person_unknown`,
    `crews.person_ambiguous`, `crews.nobody`, `crews.date_unreadable`, `crews.period_empty`,
    `crews.post_taken` (another holder's period overlaps, as the database itself says).
    """
    lock_ground(session)
    people = _People(session)
    grids = dict(
        session.execute(select(Grid.code, Grid.id).where(text("upper_inf(valid)"))).tuples().all()
    )
    segments = set(session.scalars(select(Segment.id).where(Segment.gone_at.is_(None))))
    refused: list[RefusedRow] = []
    taken = 0
    for number, record in _records(crews):
        try:
            place = _place(record, grids, segments)
            from_at, to_at = _period(record, now, time_zone)
            holders = [
                (post, people.find(str(record[post]), post))
                for post in HOLDINGS
                if record.get(post)
            ]
            if not holders:
                raise _Refusal("crews.nobody")
            with session.begin_nested():
                for post, staff_id in holders:
                    hold_post(session, place, post, staff_id, from_at, to_at)
            taken += 1
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
        except IntegrityError as error:
            if not isinstance(error.orig, ExclusionViolation):
                raise
            refused.append(RefusedRow(number, "crews.post_taken", dict(place)))
    if taken:
        ground_changed(session)
    return PeopleReport(taken, refused)


def hold_post(
    session: Session,
    place: dict[str, int],
    post: str,
    staff_id: int,
    from_at: datetime,
    to_at: datetime | None,
) -> None:
    """Gives a post of a grid or segment (`place`: one of grid_id, segment_id) to a person for a period.

    An open holding of the post ends at `from_at`; the same person going on is left as it is.
    """
    ((column, place_id),) = place.items()
    present = session.execute(
        text(
            f"select id, staff_id, lower(valid) from post_holding where {column} = :place"  # noqa: S608 (grid_id or segment_id)
            " and post = :post and upper_inf(valid)"
        ),
        {"place": place_id, "post": post},
    ).one_or_none()
    if present is not None:
        if present.staff_id == staff_id and to_at is None and present.lower <= from_at:
            return
        if present.lower == from_at:
            session.execute(text("delete from post_holding where id = :id"), {"id": present.id})
        elif present.lower < from_at:
            session.execute(
                text("update post_holding set valid = tstzrange(lower(valid), :at) where id = :id"),
                {"at": from_at, "id": present.id},
            )
    session.add(
        PostHolding(**place, post=post, staff_id=staff_id, valid=TimestamptzRange(from_at, to_at))
    )
    session.flush()


class _Refusal(Exception):
    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.values = values


class _People:
    """Finds staff by number first, then by name (within the post when a name stands twice)."""

    def __init__(self, session: Session) -> None:
        self.by_number: dict[str, int] = {}
        self.by_name: dict[str, list[tuple[int, str]]] = {}
        for row in session.execute(
            select(Staff.id, Staff.staff_no, Staff.name, Staff.post).where(Staff.left_at.is_(None))
        ):
            self.by_number[row.staff_no] = row.id
            self.by_name.setdefault(row.name, []).append((row.id, row.post))

    def find(self, who: str, post: str) -> int:
        if who in self.by_number:
            return self.by_number[who]
        named = self.by_name.get(who, [])
        fitting = [staff_id for staff_id, held in named if held == post] or [i for i, _ in named]
        if not fitting:
            raise _Refusal("crews.person_unknown", person=who, post=post)
        if len(fitting) > 1:
            raise _Refusal("crews.person_ambiguous", person=who, post=post)
        return fitting[0]


def _place(record: dict[str, str], grids: dict[str, int], segments: set[int]) -> dict[str, int]:
    segment, code = record.get("segment_id"), record.get("grid_code")
    if segment:
        if not segment.isdigit() or int(segment) not in segments:
            raise _Refusal("crews.segment_unknown", segment_id=segment)
        return {"segment_id": int(segment)}
    if not code:
        raise _Refusal("crews.place_missing")
    if code not in grids:
        raise _Refusal("crews.grid_unknown", grid_code=code)
    return {"grid_id": grids[code]}


def _period(
    record: dict[str, str], now: datetime, time_zone: str
) -> tuple[datetime, datetime | None]:
    moments: list[datetime | None] = []
    for name in ("valid_from", "valid_to"):
        written = record.get(name)
        if not written:
            moments.append(None)
            continue
        moment = pd.to_datetime(written, errors="coerce")
        if pd.isna(moment):
            raise _Refusal("crews.date_unreadable", field=name, text=written)
        aware = moment if moment.tzinfo else moment.tz_localize(time_zone)
        moments.append(aware.to_pydatetime())
    from_at = moments[0] or now
    to_at = moments[1]
    if to_at is not None and to_at <= from_at:
        raise _Refusal("crews.period_empty", valid_from=str(from_at), valid_to=str(to_at))
    return from_at, to_at


def _records(frame: pd.DataFrame) -> Iterable[tuple[int, dict[str, str]]]:
    """Rows as trimmed text with their line number in the file (the header is line 1)."""
    for position, row in enumerate(frame.to_dict("records"), start=2):
        yield (
            position,
            {
                str(key): str(value).strip()
                for key, value in row.items()
                if not pd.isna(value) and str(value).strip()
            },
        )


def _values(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame:
        return []
    return sorted({str(v).strip() for v in frame[column].dropna() if str(v).strip()})


def _unit_ids(session: Session, names: list[str]) -> dict[str, int]:
    if names:
        session.execute(
            insert(Unit).on_conflict_do_nothing(index_elements=["name"]),
            [{"name": name} for name in names],
        )
    return dict(session.execute(select(Unit.name, Unit.id)).tuples().all())
