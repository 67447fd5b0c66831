"""The people of the bureau changed one by one: added, changed, ended; a post handed on; a unit and its head.

What a list of people is checked for (`grid/loading`), one person is checked for by the same functions. None commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput, Conflict, NotFound
from grid.loading.people import hold_post, load_staff
from grid.loading.staff_list import PeopleReport
from grid.loading.units import load_units
from grid.people import check_post
from grid.town import ground_changed, lock_ground

PERSON = ("name", "post", "unit", "phone", "reports_to")
UNIT = ("name", "code", "kind", "head", "parent")


def add_person(session: Session, staff_no: str, values: Mapping[str, Any]) -> None:
    """A new person; values of PERSON.

    Raises Conflict `staff.number_taken`; BadInput with the codes of `load_staff`, and `units.unknown`.
    """
    lock_ground(session)
    number = staff_no.strip()
    if _id_of(session, number) is not None:
        raise Conflict("staff.number_taken", field="staff_no", staff_no=number)
    _write(session, number, values)


def change_person(session: Session, staff_no: str, values: Mapping[str, Any]) -> None:
    """Changes what is told of a person. Raises NotFound `staff.unknown`, else as `add_person`."""
    lock_ground(session)
    staff_id = _known(session, staff_no)
    row = session.execute(text("select name, post from staff where id = :id"), {"id": staff_id})
    _write(session, staff_no, {**row.mappings().one(), **values})


def end_person(session: Session, staff_no: str, from_at: datetime) -> None:
    """A person is no longer there from a moment on; posts that nobody takes over count as vacant from then on.

    Who held the post stays written there: the stand-ins of a post are those of its last holder (DECISIONS.md).
    Raises NotFound `staff.unknown`, Conflict `staff.left_already`.
    """
    lock_ground(session)
    changed = session.execute(
        text("update staff set left_at = :at where id = :id and left_at is null returning id"),
        {"id": _known(session, staff_no), "at": from_at},
    ).one_or_none()
    if changed is None:
        raise Conflict("staff.left_already", field="staff_no", staff_no=staff_no)
    ground_changed(session)


def return_person(session: Session, staff_no: str) -> None:
    """Takes the end of a person back; who leads the unit by now goes on leading it. NotFound `staff.unknown`."""
    lock_ground(session)
    session.execute(
        text(
            "update staff s set left_at = null, heads_unit = s.heads_unit and not exists ("
            " select 1 from staff o where o.unit_id = s.unit_id and o.heads_unit"
            " and o.left_at is null and o.id <> s.id) where s.id = :id"
        ),
        {"id": _known(session, staff_no)},
    )
    ground_changed(session)


def hand_post(
    session: Session,
    code: str,
    post: str,
    staff_no: str | None,
    from_at: datetime,
    hand_over: str = "offered",
) -> tuple[str | None, str | None]:
    """Gives a post of a grid to a person (None: to nobody) from a moment on, in place of whatever was planned.

    Returns who held it then and who does, as "name (number)". What was before stays written. Raises BadInput
    `posts.unknown`, `posts.person_left`; NotFound `staff.unknown`, `grids.not_in_force`.
    """
    check_post(post)
    lock_ground(session)
    grid_id = _grid(session, code, from_at)
    place: dict[str, Any] = {"grid": grid_id, "post": post, "at": from_at}
    staff_id = None if staff_no is None else _there(session, staff_no, from_at)
    before = session.execute(
        text(
            "select p.id, p.staff_id, s.name, s.staff_no from post_holding p"
            " join staff s on s.id = p.staff_id where p.grid_id = :grid and p.post = :post"
            " and p.valid @> cast(:at as timestamptz)"
        ),
        place,
    ).one_or_none()
    session.execute(
        text(
            "delete from post_holding where grid_id = :grid and post = :post and lower(valid) > :at"
        ),
        place,
    )
    if before is not None and before.staff_id == staff_id:
        # Goes on, also beyond what had been planned.
        session.execute(
            text("update post_holding set valid = tstzrange(lower(valid), null) where id = :id"),
            {"id": before.id},
        )
    else:
        session.execute(
            text(
                "update post_holding set valid = tstzrange(lower(valid), :at) where grid_id = :grid"
                " and post = :post and valid @> cast(:at as timestamptz) and lower(valid) < :at"
            ),
            place,
        )
        session.execute(
            text(
                "delete from post_holding where grid_id = :grid and post = :post and lower(valid) = :at"
            ),
            place,
        )
        if staff_id is not None:
            hold_post(session, {"grid_id": grid_id}, post, staff_id, from_at, None, hand_over)
    ground_changed(session)
    return (
        None if before is None else f"{before.name} ({before.staff_no})",
        None if staff_id is None else _said(session, staff_id),
    )


def drop_planned_post(session: Session, code: str, post: str, now: datetime) -> list[str]:
    """Takes back what is planned for a post of a grid: its present holder goes on. Who was planned, in order.

    Raises NotFound `posts.nothing_planned`, `grids.not_in_force`; BadInput `posts.unknown`.
    """
    check_post(post)
    lock_ground(session)
    place = {"grid": _grid(session, code, now), "post": post, "now": now}
    planned = session.execute(
        text(
            "delete from post_holding p using staff s where s.id = p.staff_id and p.grid_id = :grid"
            " and p.post = :post and lower(p.valid) > :now"
            " returning s.name || ' (' || s.staff_no || ')' as who, lower(p.valid) as since"
        ),
        place,
    ).all()
    if not planned:
        raise NotFound("posts.nothing_planned", field="post", grid_code=code)
    session.execute(
        text(
            "update post_holding set valid = tstzrange(lower(valid), null) where grid_id = :grid"
            " and post = :post and valid @> cast(:now as timestamptz) and upper(valid) = :since"
        ),
        {**place, "since": min(row.since for row in planned)},
    )
    ground_changed(session)
    return [row.who for row in sorted(planned, key=lambda row: row.since)]


def save_unit(session: Session, values: Mapping[str, Any], unit_id: int | None = None) -> None:
    """A new unit, or other values (UNIT; the head by staff number) of a known one.

    Raises NotFound `units.unknown`, Conflict `units.name_taken`; BadInput with the codes of `load_units`.
    """
    lock_ground(session)
    name = str(values.get("name") or "").strip()
    taken = session.scalar(text("select id from unit where name = :name"), {"name": name})
    if taken is not None and taken != unit_id:
        raise Conflict("units.name_taken", field="name", name=name)
    if unit_id is not None:
        renamed = session.execute(
            text(
                "update unit set name = case when :name = '' then name else :name end,"
                " code = nullif(:code, '') where id = :id returning id"
            ),
            {"id": unit_id, "name": name, "code": str(values.get("code") or "").strip()},
        ).one_or_none()
        if renamed is None:
            raise NotFound("units.unknown", field="unit_id", unit=unit_id)
    _all_taken(load_units(session, _row({field: values.get(field) for field in UNIT})))


def _write(session: Session, staff_no: str, values: Mapping[str, Any]) -> None:
    told = {name: value for name, value in values.items() if name in PERSON}
    unit = str(told.get("unit") or "").strip()
    if unit and not session.scalar(
        text("select exists (select 1 from unit where name = :unit or code = :unit)"),
        {"unit": unit},
    ):
        # A list of people may bring new units along; here a slip of the pen would make one.
        raise BadInput("units.unknown", field="unit", unit=unit)
    _all_taken(load_staff(session, _row({"staff_no": staff_no, **told})))


def _row(values: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{k: str(v).strip() if v is not None else None for k, v in values.items()}])


def _all_taken(report: PeopleReport) -> None:
    """BadInput with the code of what was refused."""
    if report.refused:
        refused = report.refused[0]
        values: dict[str, Any] = dict(refused.values)
        raise BadInput(refused.code, **values)


def _grid(session: Session, code: str, at: datetime) -> int:
    found = session.scalar(
        text("select id from grid where code = :code and valid @> cast(:at as timestamptz)"),
        {"code": code, "at": at},
    )
    if found is None:
        raise NotFound("grids.not_in_force", field="code", grid_code=code)
    return int(found)


def _there(session: Session, staff_no: str, at: datetime) -> int:
    """A person who is there from a moment on."""
    staff_id = _known(session, staff_no)
    if session.scalar(
        text("select left_at <= :at from staff where id = :id"), {"id": staff_id, "at": at}
    ):
        raise BadInput("posts.person_left", field="staff_no", staff_no=staff_no)
    return staff_id


def _known(session: Session, staff_no: str) -> int:
    found = _id_of(session, staff_no.strip())
    if found is None:
        raise NotFound("staff.unknown", field="staff_no", staff_no=staff_no)
    return found


def _id_of(session: Session, staff_no: str) -> int | None:
    found = session.scalar(text("select id from staff where staff_no = :no"), {"no": staff_no})
    return None if found is None else int(found)


def _said(session: Session, staff_id: int) -> str:
    return str(
        session.scalar(
            text("select name || ' (' || staff_no || ')' from staff where id = :id"),
            {"id": staff_id},
        )
    )
