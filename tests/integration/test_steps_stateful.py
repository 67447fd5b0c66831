"""The whole workflow pressed at random on real PostGIS by several people: what must never happen does not."""

from __future__ import annotations

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
from dispatch.intake import Report, take_in
from dispatch.moves import ENDED, MOVES, TASK_MOVES, State
from dispatch.reading import one_incident
from dispatch.standing import from_json
from dispatch.steps import Actor, Asked, MoveList, make_move
from grid.core.errors import Trouble
from tests.ground import MORNING
from tests.integration.test_chasing import on_ground

JUDGING = {"check_passed", "check_failed", "close", "reject_result", "force_close", "skip_check"}
DONE_BY_HAND = {"accept_task", "arrive", "finish_task", "submit"}
# Merging and places have their own tests; the system's moves are pressed by the sweep.
PRESSED = sorted(
    {*MOVES, *TASK_MOVES} - {"merge", "unmerge", "set_place", "found_and_fixed", "doubt_fix"}
)
CATEGORIES = ("06042", "01004", "06013")


def machine(services: Services) -> Callable[[], RuleBasedStateMachine]:
    class Pressing(RuleBasedStateMachine):
        """One incident a run, in a transaction that is rolled back."""

        def __init__(self) -> None:
            super().__init__()
            self.session = services.sessions()
            self.desk, self.now = services.desk, MORNING
            self.worked: set[int] = set()
            self.used: dict[tuple[str, datetime, int, str], float] = {}
            cleaner, self.point = on_ground(self.session)
            maintainer, _ = on_ground(self.session, "maintainer")
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

        @initialize(category=st.sampled_from(CATEGORIES), citizen=st.booleans())
        def report(self, category: str, citizen: bool) -> None:
            channel = "citizen" if citizen else "patrol"
            given = Report(channel, "", category, point=self.point)
            taken = take_in(self.session, self.desk, given, "account:test", self.now)
            self.number, self.id = taken.number, taken.incident_id
            self.session.execute(
                text(
                    "insert into evidence (incident_id, stage, sha256, media_type, size_bytes,"
                    " actor, received_at) values (:id, 'after', 'x', 'image/jpeg', 1, 'x', :at)"
                ),
                {"id": self.id, "at": self.now},
            )

        def row(self) -> dict[str, Any]:
            return one_incident(self.session, self.number)

        def press(self, name: str, actor: Actor, to: int | str | None) -> bool:
            before = self.row()
            count = self.lines()
            asked = Asked(
                name, note="因为", to=to, until=self.now + timedelta(days=3),
                condition=None if name == "file" else "met", category=before["category_code"],
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
                key = (clock.kind.value, clock.started_at, clock.round, str(clock.limit))
                used = used_minutes(clock, self.now, catalogue.calendar)
                assert used >= self.used.get(key, 0.0) - 1e-6
                self.used[key] = used

        @invariant()
        def it_is_with_somebody_or_in_a_queue(self) -> None:
            if not hasattr(self, "number"):
                return
            row = self.row()
            state = State(row["status"])
            open_ = [t for t in row["tasks"] if t["status"] in ("offered", "accepted", "arrived")]
            assert state in ENDED or row["queue"] or open_, f"{state} floats"
            if state in ENDED:
                assert open_ == []
            if row["facts"].get("returned") or row["facts"].get("not_accepted"):
                assert state is State.FILED
                assert open_ == []
            leads = [t for t in open_ if t["lead"]]
            assert len(leads) <= 1

        def teardown(self) -> None:
            if hasattr(self, "number"):
                broken = [f for f in check_record(self.session) if self.number in str(f.things)]
                assert broken == []
            self.session.rollback()
            self.session.close()

    return Pressing


@pytest.mark.filterwarnings("ignore")
def test_nothing_forbidden_ever_happens(town_services: Services) -> None:
    with town_services.sessions() as session:
        # Only the incident in hand is swept, and the record that is checked is short.
        session.execute(text("update incident set ended_at = now() where ended_at is null"))
        session.commit()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(town_services),
        settings=settings(
            max_examples=8,
            stateful_step_count=22,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
