"""A stretch of time already lived: reports with how each went, moved by the same workflow, written in bulk.

For archives and the sample town: every incident goes through the table of moves at the moments it really
took, its record is chained like any other, and all rows go in by COPY. Moments after `now` have not come
yet, so the newest incidents stand where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from dispatch.catalogue import Catalogue
from dispatch.chain import GENESIS, line_hash
from dispatch.desk import Desk
from dispatch.facts import THE_SYSTEM, Actor, Given
from dispatch.first_steps import answer_for, open_incident
from dispatch.incident_columns import place_values, standing_values
from dispatch.incidents import Line, chained_fields
from dispatch.moves import ENDED, State
from dispatch.placement import Placement
from dispatch.placing import find_place
from dispatch.progress import follow_ups
from dispatch.reports import Report, report_values
from dispatch.routing import Routed
from dispatch.standing import advance, stage_limits
from grid.book import Ground
from grid.core.bulk import copy_rows
from grid.core.values import dataclass

JSON_COLUMNS = frozenset({"geocoding", "reason", "facts", "clocks", "detail"})
# A report without a place that nobody could ask about is refused after so long.
WAIT_FOR_PLACE = timedelta(days=2)
TELL_EVERY = 200


@dataclass(frozen=True, slots=True)
class Course:
    """How an incident went, in minutes after the step before; `reworks` failed checks came first."""

    accept_minutes: float
    finish_minutes: float
    check_minutes: float
    close_minutes: float
    reworks: int = 0


@dataclass(frozen=True, slots=True)
class Stations:
    """Keys of the people who sat at the centre: operator, dispatcher, collector, watch chief."""

    operator: str
    dispatcher: str
    collector: str
    watch_chief: str


@dataclass(slots=True)
class _Rows:
    incident: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    task: list[dict[str, Any]] = field(default_factory=list)
    reporter: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)


def write_past(
    session: Session,
    desk: Desk,
    lived: Iterable[tuple[Report, Course]],
    stations: Stations,
    photo: dict[str, Any],
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Writes incidents in the order of their time; returns how many.

    `photo` holds the columns of the photograph after the work (sha256, media_type, size_bytes). Each
    report needs `occurred_at`; those after `now` are left out. Raises what `take_in` raises.
    """
    tell = progress or (lambda _words: None)
    ground, catalogue = desk.read(session)
    if ground is None:
        raise ValueError("a town without streets has no past")
    known = sorted(
        ((r, c, r.occurred_at) for r, c in lived if r.occurred_at and r.occurred_at <= now),
        key=lambda item: item[2],
    )
    ids = list(
        session.scalars(
            text(
                "select nextval(pg_get_serial_sequence('incident', 'id'))"
                " from generate_series(1, :count)"
            ),
            {"count": len(known)},
        )
    )
    serials = list(
        session.scalars(
            text("select nextval('incident_number') from generate_series(1, :count)"),
            {"count": len(known)},
        )
    )
    rows = _Rows()
    for position, (report, course, at) in enumerate(known):
        if position % TELL_EVERY == 0:
            tell(f"{position} / {len(known)}")
        number = f"{at.astimezone(desk.zone):%Y%m%d}-{serials[position]:06d}"
        life = _Life(session, desk, ground, catalogue, rows, ids[position], number, stations, now)
        life.photo = photo
        life.live(report, course, at)
    _write(session, rows)
    return len(known)


class _Life:
    """One incident from its report as far as time has come."""

    photo: dict[str, Any]

    def __init__(
        self,
        session: Session,
        desk: Desk,
        ground: Ground,
        catalogue: Catalogue,
        rows: _Rows,
        incident_id: int,
        number: str,
        stations: Stations,
        now: datetime,
    ) -> None:
        self.session, self.desk, self.ground, self.catalogue = session, desk, ground, catalogue
        self.rows, self.id, self.number = rows, incident_id, number
        self.stations, self.now = stations, now
        self.moments: dict[str, datetime] = {}
        self.seq, self.hash = 0, GENESIS

    def live(self, report: Report, course: Course, at: datetime) -> None:
        """The whole course, each move at its moment."""
        channel = self.catalogue.channel(report.channel)
        self.category = self.catalogue.category(report.category)
        texts = tuple(t for t in (report.address, report.description) if t)
        placement = find_place(
            self.session, self.ground, self.desk.settings, at, report.point, texts
        )
        routed = answer_for(self.session, placement, self.category, at)
        opened = open_incident(
            self.desk, self.catalogue, channel, self.category, placement, routed, "import", at
        )
        self.standing = opened.standing
        reasons = [r.plain() for r in (*placement.reasons, *routed.reasons, *opened.reasons)]
        self._keep(Line("report", None, "reported", detail={"reason": reasons}), "import", at)
        for line in opened.lines:
            self._keep(line, "system", at)
            self._moment(line, at)
        self._course(course, at, placement, routed)
        values = {
            **report_values(report, channel, self.category, at),
            **place_values(placement),
            **standing_values(self.standing, self.catalogue, self.now),
            **dict.fromkeys(("filed_at", "dispatched_at", "disposed_at", "ended_at")),
            **self.moments,
            "id": self.id,
            "number": self.number,
            "version": max(1, self.seq - len(opened.lines)),
            "condition_id": opened.condition.id if opened.condition else None,
            "reason": reasons,
            "ground_version": self.ground.town.ground_version,
        }
        self.rows.incident.append(values)
        if report.reporter_name or report.reporter_phone:
            who = {"name": report.reporter_name, "phone": report.reporter_phone}
            self.rows.reporter.append({"incident_id": self.id, **who})

    def _course(self, course: Course, at: datetime, placement: Placement, routed: Routed) -> None:
        state = self.standing.facts.state
        if placement.waits:
            until = at + WAIT_FOR_PLACE
            if until <= self.now:
                self._move("refuse", "operator", self.stations.operator, until, "place_unknown")
            return
        if state is State.REPORTED and routed.answering is not None:
            at += timedelta(minutes=course.accept_minutes)
            if at > self.now:
                return
            self._send(at, routed)
        if routed.answering is None or self.standing.facts.state is not State.IN_DISPOSAL:
            return
        self._work(course, at, routed)

    def _send(self, at: datetime, routed: Routed) -> None:
        """The centre takes a waiting report in and sends it out."""
        condition = (
            self.catalogue.leading_condition(self.category.code, at) if self.category else None
        )
        code = condition.code if condition else None
        person = f"staff:{routed.answering.person.id}" if routed.answering else None
        seats = self.stations
        self._move("accept", "operator", seats.operator, at)
        self._move("file", "watch_chief", seats.watch_chief, at, given=Given(filing_condition=code))
        self._move("dispatch", "dispatcher", seats.dispatcher, at, given=Given(to=person))
        if self.standing.facts.state is State.DISPATCHED:
            self._move("assign", "dispatcher", seats.dispatcher, at, given=Given(to=person))

    def _work(self, course: Course, at: datetime, routed: Routed) -> None:
        """Work, result, check and close, with the failed checks before the good one."""
        if routed.answering is None:
            return
        person = f"staff:{routed.answering.person.id}"
        worker = Actor(person, frozenset({routed.post or ""}), frozenset({routed.post or ""}))
        for turn in range(course.reworks + 1):
            task = self._task(routed, at)
            begun = at + timedelta(minutes=course.accept_minutes)
            if begun > self.now:
                return
            task |= {"status": "accepted", "accepted_at": begun}
            stands = self.standing.facts.state.value
            self._keep(Line("accept_task", stands, stands), person, begun)
            done = begun + timedelta(minutes=course.finish_minutes)
            if done > self.now:
                return
            task |= {"status": "done", "done_at": done}
            self._photograph(person, done)
            self._keep(Line("finish_task", stands, stands), person, done)
            self.moments["disposed_at"] = done
            self._advance("submit", worker, Given(photos=frozenset({"after"})), done, person)
            for name in follow_ups(self.standing.facts, self.desk.rules(self.catalogue)):
                given = Given(photos=frozenset({"after"}))
                self._advance(name, THE_SYSTEM, given, done, "system")
            checked = done + timedelta(minutes=course.check_minutes)
            if checked > self.now:
                return
            seats = self.stations
            if turn < course.reworks:
                self._move("check_failed", "collector", seats.collector, checked, "not_clean")
                at = checked
                for name in follow_ups(self.standing.facts, self.desk.rules(self.catalogue)):
                    self._advance(name, THE_SYSTEM, Given(to=person), at, "system")
                self.moments.pop("disposed_at", None)
                continue
            self._move("check_passed", "collector", seats.collector, checked)
            closed = checked + timedelta(minutes=course.close_minutes)
            if closed <= self.now:
                given = Given(closing_condition="met")
                self._move("close", "watch_chief", seats.watch_chief, closed, given=given)

    def _task(self, routed: Routed, at: datetime) -> dict[str, Any]:
        task = {
            "incident_id": self.id,
            "post": routed.post,
            "lead": True,
            "assignee_id": routed.answering.person.id if routed.answering else None,
            "status": "offered",
            "assigned_at": at,
            "due_at": self.standing.due_at(self.catalogue.calendar),
            "accepted_at": None,
            "done_at": None,
        }
        self.rows.task.append(task)
        return task

    def _photograph(self, person: str, at: datetime) -> None:
        self.rows.evidence.append(
            {
                "incident_id": self.id,
                "stage": "after",
                "actor": person,
                "taken_at": at,
                "received_at": at,
                **self.photo,
            }
        )

    def _move(
        self,
        name: str,
        role: str,
        key: str,
        at: datetime,
        note: str | None = None,
        given: Given | None = None,
    ) -> None:
        actor = Actor(key, frozenset({role}))
        self._advance(name, actor, replace(given or Given(), reason=note), at, key)

    def _advance(self, name: str, actor: Actor, given: Given, at: datetime, key: str) -> None:
        condition = (
            self.catalogue.leading_condition(self.category.code, at) if self.category else None
        )
        calendar = self.catalogue.calendar
        limits = stage_limits(at, calendar, self.category, condition)
        rules = self.desk.rules(self.catalogue)
        self.standing, line = advance(
            self.standing, name, actor, given, limits, rules, calendar, at
        )
        self._keep(line, key, at)
        self._moment(line, at)

    def _moment(self, line: Line, at: datetime) -> None:
        if line.to_status == State.FILED.value:
            self.moments["filed_at"] = at
        elif line.move == "dispatch":
            self.moments["dispatched_at"] = at
        if State(line.to_status) in ENDED:
            self.moments["ended_at"] = at

    def _keep(self, line: Line, actor: str, at: datetime) -> None:
        self.seq += 1
        row = {
            "incident_id": self.id,
            "seq": self.seq,
            "at": at,
            "actor": actor,
            "move": line.move,
            "from_status": line.from_status,
            "to_status": line.to_status,
            "note": line.note,
            "detail": line.detail,
        }
        made = line_hash(self.hash, self.seq, chained_fields(self.number, row))
        self.rows.history.append({**row, "previous_hash": self.hash, "hash": made})
        self.hash = made


def _write(session: Session, rows: _Rows) -> None:
    for table in ("incident", "history", "task", "reporter", "evidence"):
        found: list[dict[str, Any]] = getattr(rows, table)
        if not found:
            continue
        columns = list(found[0])
        copy_rows(
            session,
            table,
            columns,
            ([_cell(name, row[name]) for name in columns] for row in found),
        )


def _cell(column: str, value: Any) -> Any:
    return orjson.dumps(value).decode() if column in JSON_COLUMNS else value
