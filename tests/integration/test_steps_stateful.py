"""The whole workflow pressed at random on real PostGIS by several people: what must never happen does not."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from api.services import Services
from dispatch.chasing import sweep
from dispatch.checking import check_record
from dispatch.clocks import used_minutes
from dispatch.intake import take_in
from dispatch.moves import ENDED, MOVES, OPEN, TASK_MOVES, State
from dispatch.overview import queue_numbers
from dispatch.reading import IncidentFilter, list_incidents, one_incident
from dispatch.reports import Report
from dispatch.standing import from_json
from dispatch.steps import Actor, Asked, MoveList, PlaceGiven, fix_place, make_move
from grid.core.errors import Trouble
from tests.ground import MORNING
from tests.integration.test_chasing import on_ground

JUDGING = {
    *("check_passed", "check_failed", "close", "reject_result", "force_close", "skip_check"),
    "doubt_fix",
}
DONE_BY_HAND = {"accept_task", "arrive", "finish_task", "submit", "found_and_fixed"}
# Merging and places have rules of their own; the system's moves are pressed by the sweep.
PRESSED = sorted({*MOVES, *TASK_MOVES} - {"merge", "set_place"})
CATEGORIES = ("06042", "01004", "06013")
UNENDED = {"waiting", "offered", "accepted", "arrived"}
INCIDENTS = 3
# Not let in, or ended beside the line: merged ones are counted by their record.
NOT_LET_IN = {
    *(State.REPORTED, State.VERIFYING, State.REFUSED, State.FIXED_ON_SPOT, State.MERGED),
}  # fmt: skip


def machine(services: Services) -> Callable[[], RuleBasedStateMachine]:
    class Pressing(RuleBasedStateMachine):
        """Three incidents a run, one of them in hand, in a transaction that is rolled back."""

        def __init__(self) -> None:
            super().__init__()
            self.session = services.sessions()
            self.desk, self.now = services.desk, MORNING
            self.known: list[tuple[str, int]] = []
            self.workers: dict[str, set[int]] = {}
            self.used: dict[tuple[str, str, datetime, int, str], float] = {}
            cleaner, self.point = on_ground(self.session)
            maintainer, self.elsewhere = on_ground(self.session, "maintainer")
            heads = self.session.execute(
                text(
                    "select id from staff where heads_unit and left_at is null order by id limit 2"
                )
            ).scalars()
            self.people = [
                Actor("account:cleaner", "cleaner", cleaner),
                Actor("account:maintainer", "maintainer", maintainer),
                *(Actor(f"account:head{at}", "unit_head", at) for at in heads),
                *(
                    Actor(f"account:{role}", role, None)
                    for role in ("operator", "watch_chief", "dispatcher", "collector", "leader")
                ),
                # The ones to watch: somebody of the crew who also judges.
                Actor("account:both", "collector", cleaner),
                Actor("account:chief", "watch_chief", maintainer),
                Actor("account:admin", "administrator", cleaner),
            ]

        @initialize(
            category=st.sampled_from(CATEGORIES), citizen=st.booleans(), fixed=st.booleans()
        )
        def report(self, category: str, citizen: bool, fixed: bool) -> None:
            for at in range(INCIDENTS):
                channel = "citizen" if citizen and at == 0 else "patrol"
                # The last may be one that the cleaner has found and fixed on the spot.
                on_spot = f"staff:{self.people[0].staff_id}" if fixed and at == 2 else None
                given = Report(channel, "", category, point=self.point, fixed_by=on_spot)
                taken = take_in(self.session, self.desk, given, "account:test", self.now)
                self.known.append((taken.number, taken.incident_id))
                for stage in ("before", "after"):
                    self.session.execute(
                        text(
                            "insert into evidence (incident_id, stage, sha256, media_type,"
                            " size_bytes, actor, received_at)"
                            " values (:id, :stage, 'x', 'image/jpeg', 1, 'x', :at)"
                        ),
                        {"id": taken.incident_id, "stage": stage, "at": self.now},
                    )
            self.take_up(0)

        @rule(which=st.integers(0, INCIDENTS - 1))
        def take_up(self, which: int) -> None:
            self.number, self.id = self.known[which]
            self.worked = self.workers.setdefault(self.number, set())

        def row(self) -> dict[str, Any]:
            return one_incident(self.session, self.number)

        def press(self, name: str, actor: Actor, to: int | str | None) -> bool:
            before = self.row()
            count = self.lines()
            asked = Asked(
                name, note="因为", to=to, until=self.now + timedelta(days=3),
                condition={"close": "met", "set_condition": f"{before['category_code']}-1"}.get(name),
                category=before["category_code"],
            )  # fmt: skip
            nested = self.session.begin_nested()
            try:
                make_move(self.session, self.desk, self.number, asked, actor, self.now)
            except Trouble:
                nested.rollback()
                assert self.lines() == count
                return False
            nested.commit()
            self.never(name, actor, State(before["status"]))
            if name in DONE_BY_HAND and actor.staff_id is not None:
                self.worked.add(actor.staff_id)
            assert self.lines() > count
            return True

        def never(self, name: str, actor: Actor, state: State) -> None:
            if name in JUDGING:
                assert actor.staff_id is None or actor.staff_id not in self.worked
            if state in ENDED:
                assert name in {
                    "reopen", "appeal", "endorse_appeal", "grant_appeal", "refuse_appeal", "note",
                    "unmerge", "doubt_fix", "confirm_solved",
                }  # fmt: skip

        def lines(self) -> int:
            found = self.session.scalar(
                text("select count(*) from history where incident_id = :id"), {"id": self.id}
            )
            return int(found or 0)

        @rule(data=st.data())
        def somebody_presses_what_is_offered(self, data: st.DataObject) -> None:
            row = self.row()
            offers = []
            for actor in self.people:
                moves = MoveList(self.session, self.desk, actor, self.now).of(row)
                offers += [(name, actor) for name in moves if name in PRESSED]
            if not offers:
                return
            name, actor = data.draw(st.sampled_from(offers))
            assert self.press(name, actor, self.people[1].staff_id), f"{name} offered and refused"

        @rule(name=st.sampled_from(PRESSED), who=st.integers(0, 11), to=st.integers(0, 1))
        def anybody_presses_anything(self, name: str, who: int, to: int) -> None:
            self.press(name, self.people[who % len(self.people)], self.people[to].staff_id)

        @rule(who=st.integers(0, 11), into=st.integers(0, INCIDENTS - 1))
        def two_become_one(self, who: int, into: int) -> None:
            actor, lead = self.people[who % len(self.people)], self.known[into][0]
            state = State(self.row()["status"])
            if self.press("merge", actor, lead):
                assert lead != self.number
                assert state is not State.MERGED
                assert one_incident(self.session, lead)["ended_at"] is None

        @rule()
        def the_dispatcher_makes_two_one_and_apart(self) -> None:
            """The way of every day, so that it is walked often."""
            dispatcher = next(p for p in self.people if p.role == "dispatcher")
            if State(self.row()["status"]) is State.MERGED:
                assert self.press("unmerge", dispatcher, None)
                return
            for lead, _ in self.known:
                if lead != self.number and self.press("merge", dispatcher, lead):
                    return

        @rule(who=st.integers(0, 11), far=st.booleans(), category=st.sampled_from(CATEGORIES))
        def somebody_moves_the_pin(self, who: int, far: bool, category: str) -> None:
            actor, count = self.people[who % len(self.people)], self.lines()
            point = self.elsewhere if far else self.point
            given = PlaceGiven(point, None, category if far else None, None)
            nested = self.session.begin_nested()
            try:
                fix_place(self.session, self.desk, self.number, given, actor, self.now)
            except Trouble:
                nested.rollback()
                assert self.lines() == count
                return
            nested.commit()
            assert self.lines() > count

        @rule(minutes=st.sampled_from([5, 70, 400, 3000]))
        def time_passes(self, minutes: int) -> None:
            self.now += timedelta(minutes=minutes)
            sweep(self.session, self.desk, self.now)
            assert sweep(self.session, self.desk, self.now).told == 0

        @invariant()
        def clocks_never_run_backward(self) -> None:
            if not hasattr(self, "number"):
                return
            row = self.row()
            _, catalogue = self.desk.read(self.session)
            for clock in from_json(row["facts"], row["clocks"]).clocks.values():
                key = (
                    self.number, clock.kind.value, clock.started_at, clock.round, str(clock.limit),
                )  # fmt: skip
                used = used_minutes(clock, self.now, catalogue.calendar)
                assert used >= self.used.get(key, 0.0) - 1e-6
                self.used[key] = used

        @invariant()
        def it_is_with_somebody_or_in_a_queue(self) -> None:
            for number, _ in self.known:
                row = one_incident(self.session, number)
                state = State(row["status"])
                open_ = [t for t in row["tasks"] if t["status"] in UNENDED - {"waiting"}]
                assert state in ENDED or row["queue"] or open_, f"{state} floats"
                if row["facts"].get("returned") or row["facts"].get("not_accepted"):
                    assert state is State.FILED
                leads = [t for t in open_ if t["lead"]]
                assert len(leads) <= 1

        @invariant()
        def tasks_stand_as_their_incident(self) -> None:
            for number, _ in self.known:
                row = one_incident(self.session, number)
                state, facts = State(row["status"]), row["facts"]
                latest = max((task["round"] for task in row["tasks"]), default=0)
                tasks = [task for task in row["tasks"] if task["round"] == latest]
                states = Counter(task["status"] for task in tasks)
                unended = [task for task in row["tasks"] if task["status"] in UNENDED]
                # Only work under way, or suspended, has tasks that somebody may go on with; they are of the newest round.
                assert {task["round"] for task in unended} <= {latest}
                if state in (State.DISPATCHED, State.IN_DISPOSAL):
                    helpers = [task for task in unended if not task["lead"]]
                    assert facts.get("open_tasks", 0) == len(helpers)
                    assert facts.get("refused_tasks", 0) == states["returned"] + states["lapsed"]
                elif state is not State.SUSPENDED:
                    assert unended == [], f"{state} has open tasks"
                lead = [t for t in tasks if t["lead"] and t["status"] != "withdrawn"]
                if state is State.IN_DISPOSAL:
                    assert len(lead) == 1
                if state in (State.DISPOSED, State.CHECKING, State.PENDING_CLOSE):
                    assert [task["status"] for task in lead] == ["done"]
                people = {f"staff:{task['assignee_id']}" for task in unended if task["lead"]}
                assert people <= set(facts.get("assignees", []))

        @invariant()
        def counts_add_up(self) -> None:
            if not self.known:
                return
            ids = [known for _, known in self.known]
            rows = self.session.execute(
                text(
                    "select i.id, i.status, i.queue, i.ended_at, i.merged_into_id, (select"
                    " json_agg(json_build_array(h.move, h.from_status, h.to_status) order by h.seq)"
                    " from history h where h.incident_id = i.id) as lines"
                    " from incident i where i.id = any(:ids)"
                ),
                {"ids": ids},
            ).all()
            by_state = Counter(State(row.status) for row in rows)
            lines = [line for row in rows for line in row.lines]
            came, left = (
                Counter(line[way] for line in lines if line[1] != line[2]) for way in (2, 1)
            )
            for state in State:
                # Every report begins as reported, without a state before it.
                assert came[state.value] - left[state.value] == by_state[state], state
            for row in rows:
                # Each line goes on from where the one before has led.
                assert all(a[2] == b[1] for a, b in itertools.pairwise(row.lines))
                assert (row.ended_at is not None) == (State(row.status) in ENDED)
                assert (row.merged_into_id is not None) == (State(row.status) is State.MERGED)
                assert row.queue is None or State(row.status) not in ENDED
                if row.merged_into_id is not None:
                    lead = next(each for each in rows if each.id == row.merged_into_id)
                    assert State(lead.status) is not State.MERGED
            # What was ever let in is open or ended behind the acceptance, or merged away from there.
            for row in rows:
                let_in = any(move in ("accept", "doubt_fix") for move, *_ in row.lines)
                assert State(row.status) is State.MERGED or let_in == (
                    State(row.status) not in NOT_LET_IN
                )
            # The desk's numbers, its lists and the rows agree.
            numbers = queue_numbers(self.session, self.now)
            assert numbers.pop("open") == sum(by_state[state] for state in OPEN)
            overdue = numbers.pop("overdue")
            late = IncidentFilter(open_only=True, overdue_at=self.now)
            assert overdue == list_incidents(self.session, late, "due_at", 1, 5).total
            # What is overdue and waits for nobody else is counted by the clock, above.
            waiting = Counter(row.queue for row in rows if row.queue not in (None, "overdue"))
            assert numbers == waiting
            for queue, count in numbers.items():
                asked = IncidentFilter(queue=queue)
                assert list_incidents(self.session, asked, "due_at", 1, 5).total == count

        def teardown(self) -> None:
            if hasattr(self, "number"):
                ours = [number for number, _ in self.known]
                found = check_record(self.session)
                assert [f for f in found if any(number in str(f.things) for number in ours)] == []
            self.session.rollback()
            self.session.close()

    return Pressing


@pytest.mark.filterwarnings("ignore")
def test_nothing_forbidden_ever_happens(town_services: Services) -> None:
    with town_services.sessions() as session:
        # Only the incident in hand is swept, and the record that is checked is short.
        # What the town brings along is over, so that the numbers of the desk are those of ours.
        session.execute(
            text("update incident set ended_at = now(), status = 'closed', queue = null")
        )
        session.commit()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(town_services),
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
