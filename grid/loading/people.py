"""Staff and crews into the database; refused rows come back with their reason."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
from psycopg.errors import ExclusionViolation
from psycopg.types.range import TimestamptzRange
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grid.loading.leaders import set_leaders
from grid.loading.staff_list import PeopleReport, RefusedRow, StaffList, moment_of, records
from grid.loading.staff_list import Refusal as _Refusal
from grid.models import HOLDINGS, PostHolding, Staff, Unit
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


def load_staff(session: Session, staff: pd.DataFrame) -> PeopleReport:
    """Loads staff_no, name, post, unit, phone, heads_unit, reports_to (number or name of the person's leader).

    unit is a name or code; an unknown one is made. A known staff number is updated; what the list has no column for
    (unit, phone, heads_unit, reports_to) stays as it is. Refuses
    `staff.number_missing`, `staff.name_missing`, `staff.post_unknown`; takes the person but not the leader of
    `staff.leader_unknown`, `staff.leader_ambiguous`, `staff.leader_circle`.
    """
    lock_ground(session)
    refused: list[RefusedRow] = []
    rows: list[dict[str, object]] = []
    units = _unit_ids(session, _values(staff, "unit"))
    for number, record in records(staff):
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
                set_={name: statement.excluded[name] for name in _updated(staff)},
            ),
            rows,
        )
        if "reports_to" in staff:
            refused += set_leaders(session, staff)
        ground_changed(session)
    return PeopleReport(len(rows), refused)


def load_crews(
    session: Session,
    crews: pd.DataFrame,
    now: datetime,
    *,
    time_zone: str,
    hand_over: str = "offered",
) -> PeopleReport:
    """Loads crews: grid_code, segment_id or street, a staff number or name per post, valid_from, valid_to.

    A row of a street stands for each of its segments. A new holder ends the present one at `valid_from`
    (default `now`); `hand_over` says which open incidents the new holder takes over then (HAND_OVERS, done by
    `dispatch.handover`). Refuses a row as a whole: `crews.grid_unknown`, `crews.segment_unknown`,
    `crews.street_unknown`, `crews.place_missing`, `crews.person_unknown`,
    `crews.person_ambiguous`, `crews.nobody`, `crews.date_unreadable`, `crews.period_empty`,
    `crews.post_taken` (another holder's period overlaps, as the database itself says).
    """
    lock_ground(session)
    people = StaffList(session)
    places = _Places(session)
    refused: list[RefusedRow] = []
    taken = 0
    for number, record in records(crews):
        try:
            from_at, to_at = _period(record, now, time_zone)
            found = places.find(record, from_at)
            holders = [
                (post, people.find(str(record[post]), post))
                for post in HOLDINGS
                if record.get(post)
            ]
            if not holders:
                raise _Refusal("crews.nobody")
            with session.begin_nested():
                for place in found:
                    for post, staff_id in holders:
                        hold_post(session, place, post, staff_id, from_at, to_at, hand_over)
            taken += 1
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
        except IntegrityError as error:
            if not isinstance(error.orig, ExclusionViolation):
                raise
            refused.append(RefusedRow(number, "crews.post_taken", {"place": _said(record)}))
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
    hand_over: str = "offered",
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
        PostHolding(
            **place,
            post=post,
            staff_id=staff_id,
            valid=TimestamptzRange(from_at, to_at),
            hand_over=hand_over,
        )
    )
    session.flush()


class _Places:
    """Finds what a row of crews is about: a grid as it is called at a moment, a segment, or a whole street."""

    def __init__(self, session: Session) -> None:
        self._grids: dict[str, list[tuple[int, datetime, datetime | None]]] = {}
        for row in session.execute(
            text(
                "select code, id, lower(valid) as since, upper(valid) as until from grid order by 3"
            )
        ):
            self._grids.setdefault(row.code, []).append((row.id, row.since, row.until))
        self._segments: set[int] = set()
        self._streets: dict[str, list[int]] = {}
        for row in session.execute(
            text(
                "select s.id, t.name from segment s left join street t on t.id = s.street_id"
                " where s.gone_at is null order by s.id"
            )
        ):
            self._segments.add(row.id)
            self._streets.setdefault(row.name, []).append(row.id)

    def find(self, record: dict[str, str], from_at: datetime) -> list[dict[str, int]]:
        """The one place, or every segment of the street."""
        segment, street = record.get("segment_id"), record.get("street")
        if segment:
            # A spreadsheet may have written a whole number with a point.
            number = segment.removesuffix(".0")
            if not number.isdigit() or int(number) not in self._segments:
                raise _Refusal("crews.segment_unknown", segment_id=segment)
            return [{"segment_id": int(number)}]
        if record.get("grid_code"):
            return [{"grid_id": self._grid(record["grid_code"], from_at)}]
        if not street:
            raise _Refusal("crews.place_missing")
        if street not in self._streets:
            raise _Refusal("crews.street_unknown", street=street)
        return [{"segment_id": i} for i in self._streets[street]]

    def _grid(self, code: str, from_at: datetime) -> int:
        """The grid in force then; before its first day, as it first was; never one that has ended."""
        for grid_id, _, until in self._grids.get(code, []):
            if until is None or until > from_at:
                return grid_id
        raise _Refusal("crews.grid_unknown", grid_code=code)


def _said(record: dict[str, str]) -> str:
    return record.get("segment_id") or record.get("grid_code") or record.get("street") or ""


def _period(
    record: dict[str, str], now: datetime, time_zone: str
) -> tuple[datetime, datetime | None]:
    from_at = moment_of(record, "valid_from", time_zone) or now
    to_at = moment_of(record, "valid_to", time_zone)
    if to_at is not None and to_at <= from_at:
        raise _Refusal("crews.period_empty", valid_from=str(from_at), valid_to=str(to_at))
    return from_at, to_at


def _updated(staff: pd.DataFrame) -> list[str]:
    """The columns that a list of staff writes over."""
    told = {"unit_id": "unit", "phone": "phone", "heads_unit": "heads_unit"}
    return ["name", "post", *(ours for ours, theirs in told.items() if theirs in staff)]


def _values(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame:
        return []
    return sorted({str(v).strip() for v in frame[column].dropna() if str(v).strip()})


def _unit_ids(session: Session, names: list[str]) -> dict[str, int]:
    """Ids of units by name and by code; names that nobody knows become units."""
    codes: dict[str, int] = {
        code: unit_id for code, unit_id in session.execute(select(Unit.code, Unit.id)) if code
    }
    fresh = [name for name in names if name not in codes]
    if fresh:
        session.execute(
            insert(Unit).on_conflict_do_nothing(index_elements=["name"]),
            [{"name": name} for name in fresh],
        )
    return codes | dict(session.execute(select(Unit.name, Unit.id)).all())
