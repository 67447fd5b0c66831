"""Units into the database: own teams and contractors in levels, each with its head; refused rows say why."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.loading.staff_list import PeopleReport, RefusedRow, StaffList, records
from grid.loading.staff_list import Refusal as _Refusal
from grid.town import ground_changed, lock_ground

# As bureaus write the two kinds.
KINDS = {
    "own": "own",
    "自有": "own",
    "本单位": "own",
    "内部": "own",
    "contractor": "contractor",
    "外包": "contractor",
    "承包": "contractor",
    "承包商": "contractor",
    "服务外包": "contractor",
}


def load_units(session: Session, units: pd.DataFrame) -> PeopleReport:
    """Loads code, name, kind (own or contractor), head (staff number or name), parent (code or name).

    A known code, else a known name, is updated; a column that the list does not have stays as it is. The head
    joins the unit. Refuses `units.name_missing`, `units.kind_unknown`, `units.twice` (a code or name that another
    unit has); takes the unit but not the head or parent of `units.head_unknown`, `units.head_ambiguous`,
    `units.parent_unknown`, `units.parent_circle`.
    """
    lock_ground(session)
    refused: list[RefusedRow] = []
    taken: list[tuple[int, int, dict[str, str]]] = []
    for number, record in records(units):
        try:
            taken.append((number, _unit(session, record), record))
        except _Refusal as refusal:
            refused.append(RefusedRow(number, refusal.code, refusal.values))
    people = StaffList(session)
    for number, unit_id, record in taken:
        for name, settle in (("parent", _set_parent), ("head", _set_head)):
            if name not in units:
                continue
            try:
                settle(session, people, unit_id, record.get(name))
            except _Refusal as refusal:
                refused.append(RefusedRow(number, refusal.code, refusal.values))
    if taken:
        ground_changed(session)
    return PeopleReport(len(taken), sorted(refused, key=lambda item: item.row))


def _unit(session: Session, record: dict[str, str]) -> int:
    """Writes one unit without its head and parent; its id."""
    name, code, kind = record.get("name"), record.get("code"), record.get("kind")
    if not name:
        raise _Refusal("units.name_missing")
    if kind is not None and kind.lower() not in KINDS:
        raise _Refusal("units.kind_unknown", kind=kind, kinds="own, contractor")
    values = {"name": name, "code": code, "kind": KINDS[kind.lower()] if kind else None}
    by_code, by_name = (
        session.scalar(text(f"select id from unit where {column} = :{column}"), values)  # noqa: S608 (code, name)
        for column in ("code", "name")
    )
    if by_code is not None and by_name is not None and by_code != by_name:
        raise _Refusal("units.twice", name=name, unit_code=code)
    known = by_code if by_code is not None else by_name
    if known is None:
        made = session.scalar(
            text(
                "insert into unit (name, code, kind) values (:name, :code, coalesce(:kind, 'own'))"
                " returning id"
            ),
            values,
        )
        return int(made or 0)
    if code is not None and by_code is None:
        other = session.scalar(text("select code from unit where id = :id"), {"id": known})
        if other is not None:
            raise _Refusal("units.twice", name=name, unit_code=other)
    session.execute(
        text(
            "update unit set name = :name, code = coalesce(:code, code),"
            " kind = coalesce(:kind, kind) where id = :id"
        ),
        {**values, "id": known},
    )
    return int(known)


def _set_parent(session: Session, people: StaffList, unit_id: int, who: str | None) -> None:
    parent = None
    if who:
        parent = session.scalar(
            text("select id from unit where code = :who or name = :who order by code = :who desc"),
            {"who": who},
        )
        if parent is None:
            raise _Refusal("units.parent_unknown", parent=who)
        if unit_id in _upwards(session, int(parent)):
            raise _Refusal("units.parent_circle", parent=who)
    session.execute(
        text("update unit set parent_id = :parent where id = :id"),
        {"parent": parent, "id": unit_id},
    )


def _upwards(session: Session, unit_id: int) -> set[int]:
    """A unit and all that it is part of."""
    return set(
        session.scalars(
            text(
                "with recursive up (id) as (select cast(:id as bigint) union"
                " select u.parent_id from unit u join up on up.id = u.id"
                " where u.parent_id is not null) select id from up"
            ),
            {"id": unit_id},
        )
    )


def _set_head(session: Session, people: StaffList, unit_id: int, who: str | None) -> None:
    head = None
    if who:
        try:
            head = people.find(who, "unit_head")
        except _Refusal as refusal:
            unknown = refusal.code == "crews.person_unknown"
            code = "units.head_unknown" if unknown else "units.head_ambiguous"
            raise _Refusal(code, person=who) from refusal
    session.execute(
        text(
            "update staff set heads_unit = false"
            " where unit_id = :unit and heads_unit and id is distinct from :head"
        ),
        {"unit": unit_id, "head": head},
    )
    session.execute(
        text("update staff set heads_unit = true, unit_id = :unit where id = :head"),
        {"unit": unit_id, "head": head},
    )
