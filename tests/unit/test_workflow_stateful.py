"""The whole workflow pressed at random by several people: what must never happen does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dispatch import chain
from dispatch.calendars import seed_calendar
from dispatch.clocks import Clock, ClockKind, used_minutes
from dispatch.facts import SYSTEM, THE_SYSTEM, Actor, Facts, Given, Rules
from dispatch.moves import ENDED, MOVES, State
from dispatch.progress import (
    clocks_after,
    clocks_at_report,
    facts_after,
    facts_now,
    follow_ups,
    queues,
    quick_path,
)
from dispatch.workflow import allowed, check_move, is_doer
from dispatch.worktime import Limit, Unit
from grid.core.errors import BadInput, Trouble

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = seed_calendar("CN", SHANGHAI, range(2025, 2028))
MONDAY = datetime(2026, 2, 9, 8, 0, tzinfo=SHANGHAI)
LIMITS = {kind: Limit(30, Unit.MINUTES) for kind in ClockKind} | {
    ClockKind.DISPOSAL: Limit(2, Unit.WORKING_DAYS),
    ClockKind.REPLY: Limit(3, Unit.WORKING_DAYS),
}
PEOPLE = {
    "operator": Actor("olga", frozenset({"operator"})),
    "chief": Actor("chen", frozenset({"watch_chief"})),
    "dispatcher": Actor("deng", frozenset({"dispatcher"})),
    "collector": Actor("cai", frozenset({"collector"})),
    "head": Actor("hu", frozenset({"unit_head"}), unit="roads"),
    "crew": Actor("ming", posts=frozenset({"maintainer"}), unit="roads"),
    "cleaner": Actor("qing", posts=frozenset({"cleaner"}), unit="cleaning"),
    "leader": Actor("lin", frozenset({"leader"})),
    "resident": Actor(None, reporter=True),
    "system": THE_SYSTEM,
    # The ones to watch: a single person with every station and a post, and an administrator.
    "all": Actor(
        "one",
        frozenset({"operator", "watch_chief", "dispatcher", "collector", "unit_head", "leader"}),
        frozenset({"officer"}),
    ),
    "admin": Actor("root", frozenset({"administrator"}), frozenset({"gardener"})),
}
JUDGING = {"check_passed", "check_failed", "close", "reject_result", "force_close", "skip_check"}
ONLY = {  # a second, shorter copy of who does what (domain 3.2), to compare the table with
    "file": {"watch_chief", SYSTEM},
    "close": {"watch_chief"},
    "dispatch": {"dispatcher", SYSTEM},
    "force_close": {"leader"},
    "supervise": {"leader"},
    "check_passed": {"collector"},
    "refuse": {"operator"},
}
# The straight way on from each state, and by whom.
STRAIGHT = {
    State.REPORTED: ("accept", "operator"),
    State.VERIFYING: ("verify_confirmed", "collector"),
    State.ACCEPTED: ("file", "chief"),
    State.FILED: ("dispatch", "dispatcher"),
    State.DISPATCHED: ("assign", "dispatcher"),
    State.IN_DISPOSAL: ("submit", "crew"),
    State.SUSPENDED: ("resume", "chief"),
    State.CHECKING: ("check_passed", "collector"),
    State.PENDING_CLOSE: ("close", "chief"),
    State.CLOSED: ("reopen", "resident"),
    State.MERGED: ("unmerge", "operator"),
    State.FIXED_ON_SPOT: ("doubt_fix", "leader"),
}
WORKERS = ["ming", "qing", "one", "root"]

BY_PERSON = {actor.person: actor for actor in PEOPLE.values() if actor.person}


class Workflow(RuleBasedStateMachine):
    @initialize(
        station=st.booleans(),
        rework=st.sampled_from(["runs_on", "starts_anew"]),
        check_needed=st.booleans(),
        quick=st.booleans(),
        merged=st.booleans(),
        head_start=st.integers(0, 10),
        worker=st.sampled_from(WORKERS),
    )
    def report(
        self,
        station: bool,
        rework: str,
        check_needed: bool,
        quick: bool,
        merged: bool,
        head_start: int,
        worker: str,
    ) -> None:
        self.worker = worker
        small = {"operator": frozenset({"watch_chief"}), "dispatcher": frozenset({"unit_head"})}
        plain = Rules()
        self.rules = replace(
            plain,
            unit_station=station,
            rework=rework,
            check_needed=check_needed,
            also=small if merged else plain.also,
        )
        self.now = MONDAY
        self.facts = Facts(
            State.REPORTED, filing_condition="06010-1", reporters=frozenset({"qing"})
        )
        self.clocks: dict[ClockKind, Clock] = clocks_at_report(LIMITS, self.now)
        self.lines: list[chain.Line] = []
        self.worked: set[str] = set()
        self.passed_check = False
        self.used: dict[tuple[ClockKind, datetime, int], float] = {}
        if quick:
            for name in quick_path(self.facts, self.rules, assignee_known=True):
                self.press(
                    name, THE_SYSTEM, Given(to="ming", unit="roads", filing_condition="06010-1")
                )
                assert self.lines[-1].fields["move"] == name

        for _ in range(head_start):
            self.work_goes_on()

    @rule()
    def work_goes_on(self) -> None:
        if self.facts.state is State.DISPOSED:
            name, who = ("send_check", "operator") if self.facts.fed_back else ("feed_back", "head")
            if self.facts.fed_back and not self.rules.check_needed:
                name = "skip_check"
        elif self.facts.state in STRAIGHT:
            name, who = STRAIGHT[self.facts.state]
        else:
            return
        actor = BY_PERSON[self.worker] if who == "crew" else PEOPLE[who]
        self.press(name, actor, self.given(self.worker, "roads"))

    @rule(name=st.sampled_from(sorted(JUDGING)))
    def the_doers_judge_themselves(self, name: str) -> None:
        for person in sorted(self.worked):
            self.press(name, BY_PERSON[person], self.given("ming", None))

    @rule(name=st.sampled_from(sorted(name for name in MOVES if SYSTEM in MOVES[name].who)))
    def the_system_presses(self, name: str) -> None:
        self.press(name, THE_SYSTEM, self.given("ming", "roads"))

    @rule()
    def it_comes_back(self) -> None:
        self.press("return", BY_PERSON[self.worker], self.given(None, None))

    @rule(
        name=st.sampled_from(sorted(MOVES)),
        who=st.sampled_from(sorted(PEOPLE)),
        complete=st.booleans(),
        to=st.sampled_from(WORKERS),
        unit=st.sampled_from([None, "roads", "cleaning"]),
    )
    def anybody_presses_anything(
        self, name: str, who: str, complete: bool, to: str, unit: str | None
    ) -> None:
        self.press(name, PEOPLE[who], self.given(to, unit) if complete else Given())

    @rule(data=st.data(), to=st.sampled_from(WORKERS), unit=st.sampled_from([None, "roads"]))
    def somebody_presses_what_is_offered(
        self, data: st.DataObject, to: str, unit: str | None
    ) -> None:
        offers = [
            (name, actor)
            for actor in PEOPLE.values()
            for name in allowed(actor, self.facts, self.rules, self.now)
            if name not in ("note", "merge", "set_place", "set_category")
        ]
        if offers:
            name, actor = data.draw(st.sampled_from(offers))
            before = len(self.lines)
            self.press(name, actor, self.given(to, unit))
            assert len(self.lines) == before + 1, f"{name} was offered and refused"

    @rule(minutes=st.integers(1, 3000))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.look_at_the_time()

    @rule()
    def the_system_follows_up(self) -> None:
        for name in follow_ups(self.facts, self.rules):
            to = next(iter(sorted(self.facts.assignees)), None)
            before = len(self.lines)
            self.press(name, THE_SYSTEM, self.given(to, None))
            assert len(self.lines) == before + 1

    @rule()
    def helpers_finish(self) -> None:
        self.facts = replace(self.facts, open_tasks=0)

    def given(self, to: str | None, unit: str | None) -> Given:
        return Given(
            reason="because",
            filing_condition="06010-1",
            closing_condition="06010-1",
            category="06010",
            to=to,
            unit=unit,
            into="A-1",
            until=self.now + timedelta(days=3),
            place=(113.0, 23.0),
            photos=frozenset({"before", "after"}),
        )

    def look_at_the_time(self) -> None:
        self.facts = facts_now(self.facts, self.clocks, CHINA, self.now)

    def press(self, name: str, actor: Actor, given: Given) -> None:
        self.look_at_the_time()
        facts, clocks = self.facts, self.clocks
        offered = name in allowed(actor, facts, self.rules, self.now)
        refusal: Trouble | None = None
        try:
            step = check_move(name, actor, facts, given, self.rules, self.now)
        except Trouble as refused:
            refusal = refused
        if refusal is not None:
            assert not offered or isinstance(refusal, BadInput)
            assert "possible" in refusal.values
            assert (self.facts, self.clocks) == (facts, clocks)
            return
        assert offered
        self.never(name, actor, facts)
        self.clocks = clocks_after(step, clocks, facts, given, LIMITS, self.rules, CHINA, self.now)
        self.facts = facts_after(step, facts, actor, given, self.rules, self.now)
        for kind, clock in clocks.items():
            same = self.clocks[kind].round == clock.round and self.clocks[kind].limit == clock.limit
            used = used_minutes(clock, self.now, CHINA)
            assert not same or used_minutes(self.clocks[kind], self.now, CHINA) == used
        if name in ("submit", "feed_back", "found_and_fixed") and actor.person:
            self.worked.add(actor.person)
        self.passed_check = name == "check_passed" or (
            self.passed_check and self.facts.state in (State.PENDING_CLOSE, State.CLOSED)
        )
        states = {"from": facts.state.value, "to": self.facts.state.value}
        fields = {"move": name, "who": actor.person, **states, "at": self.now}
        self.lines.append(chain.make_line(self.lines[-1] if self.lines else None, fields))

    def never(self, name: str, actor: Actor, facts: Facts) -> None:
        if name in JUDGING:
            assert actor.person not in self.worked or actor.person is None
            assert not is_doer(actor, facts, self.rules)
        if facts.state in ENDED:
            assert name in {
                "reopen",
                "confirm_solved",
                "unmerge",
                "doubt_fix",
                "appeal",
                "endorse_appeal",
                "grant_appeal",
                "refuse_appeal",
                "note",
            }
        if facts.returned or facts.not_accepted:
            assert name not in {"force_close", "void", "close", "merge"}
            assert SYSTEM not in actor.roles or name == "answered"
        if name == "close":
            assert facts.state is State.PENDING_CLOSE
            assert self.passed_check or not self.rules.check_needed
        if name in ONLY:
            merged = set().union(*(self.rules.also.get(role, frozenset()) for role in actor.roles))
            assert ONLY[name] & (set(actor.roles) | merged)
        if name in ("submit", "hand_back"):
            # The system hands in what several people have done together.
            assert actor.person in facts.assignees or SYSTEM in actor.roles

    @invariant()
    def clocks_never_run_backward(self) -> None:
        if not hasattr(self, "clocks"):
            return
        for kind, clock in self.clocks.items():
            key = (kind, clock.started_at, clock.round)
            used = used_minutes(clock, self.now, CHINA)
            assert used >= self.used.get(key, 0.0) - 1e-6 or clock.limit != LIMITS[kind]
            self.used[key] = used

    @invariant()
    def an_ended_incident_has_no_running_clock(self) -> None:
        if hasattr(self, "facts") and self.facts.ended:
            assert not any(clock.running for clock in self.clocks.values())

    @invariant()
    def what_came_back_waits_at_filed(self) -> None:
        if hasattr(self, "facts") and (self.facts.returned or self.facts.not_accepted):
            assert self.facts.state is State.FILED
            assert not self.facts.assignees

    @invariant()
    def a_suspended_incident_has_no_running_disposal(self) -> None:
        if hasattr(self, "facts") and self.facts.state is State.SUSPENDED:
            assert not self.clocks[ClockKind.DISPOSAL].running

    @invariant()
    def somebody_is_always_awaited(self) -> None:
        if not hasattr(self, "facts") or self.facts.ended:
            return
        moves = {
            name
            for actor in PEOPLE.values()
            for name in allowed(actor, self.facts, self.rules, self.now)
            if MOVES[name].to is not None and MOVES[name].to is not State.MERGED
        }
        waiting = moves or self.facts.state is State.DISPOSED or self.facts.open_tasks
        assert waiting, f"nothing leads on from {self.facts.state}"

    @invariant()
    def counts_add_up(self) -> None:
        """What the lines tell one by one is what the facts tell together."""
        if not hasattr(self, "lines"):
            return
        moves = Counter(str(line.fields["move"]) for line in self.lines)
        changed = [line.fields for line in self.lines if line.fields["from"] != line.fields["to"]]
        came, left = (Counter(fields[way] for fields in changed) for way in ("to", "from"))
        for state in State:
            here = came[state.value] - left[state.value] + (state is State.REPORTED)
            assert here == (self.facts.state is state), state
        assert self.facts.reworks == moves["check_failed"] + moves["reject_result"]
        assert self.facts.reopened == moves["reopen"]
        assert self.facts.suspensions == moves["suspend"]
        again = moves["reopen"] + moves["unmerge"] + moves["doubt_fix"]
        assert sum(came[state.value] for state in ENDED) - again == self.facts.ended
        # Whatever was let in is open, or ended as one of these.
        let_in = self.facts.state not in (State.REPORTED, State.VERIFYING, State.REFUSED)
        if let_in and self.facts.state not in (State.MERGED, State.FIXED_ON_SPOT):
            assert moves["accept"] + moves["doubt_fix"]

    @invariant()
    def it_waits_in_one_queue_or_with_somebody(self) -> None:
        if not hasattr(self, "facts"):
            return
        waiting = queues(self.facts)
        assert len(waiting) == len(set(waiting))
        if self.facts.ended:
            assert waiting == ()
        elif self.facts.state not in (State.DISPATCHED, State.IN_DISPOSAL):
            assert waiting

    @invariant()
    def the_chain_stays_whole(self) -> None:
        if hasattr(self, "lines") and self.lines:
            last = self.lines[-1].seq, self.lines[-1].hash
            assert chain.verify(self.lines, last) == []


TestWorkflow = Workflow.TestCase
TestWorkflow.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
