"""The closed loop move by move: against the diagram of the domain, the separation of duties, and walks by hand."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch.calendars import seed_calendar
from dispatch.clocks import Clock, ClockKind, due_at, used_minutes
from dispatch.effects import EFFECTS
from dispatch.facts import THE_SYSTEM, Actor, Facts, Given, Rules
from dispatch.guards import GUARDS
from dispatch.linkage import Outcome, Part, after_tasks
from dispatch.moves import ENDED, MOVES, STAGES, State, TaskState
from dispatch.progress import (
    clocks_after,
    clocks_at_report,
    facts_after,
    facts_now,
    follow_ups,
    queues,
    quick_path,
)
from dispatch.workflow import (
    allowed,
    allowed_task_moves,
    check_move,
    check_task_move,
)
from dispatch.worktime import Limit, Unit
from grid.core.errors import BadInput, Conflict, NotAllowed, Trouble

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = seed_calendar("CN", SHANGHAI, range(2025, 2028))
LIMITS = {
    ClockKind.ACCEPT: Limit(15, Unit.MINUTES),
    ClockKind.VERIFY: Limit(30, Unit.MINUTES),
    ClockKind.DISPATCH: Limit(15, Unit.MINUTES),
    ClockKind.DISPOSAL: Limit(1, Unit.WORKING_DAYS),
    ClockKind.CHECK: Limit(60, Unit.MINUTES),
    ClockKind.CLOSE: Limit(60, Unit.MINUTES),
}
STATIONED = Rules(unit_station=True, auto_check=False)

OPERATOR = Actor("olga", frozenset({"operator"}))
CHIEF = Actor("chen", frozenset({"watch_chief"}))
DISPATCHER = Actor("deng", frozenset({"dispatcher"}))
COLLECTOR = Actor("cai", frozenset({"collector"}))
HEAD = Actor("hu", frozenset({"unit_head"}), unit="roads")
CREW = Actor("ming", posts=frozenset({"maintainer"}), unit="roads")
CLEANER = Actor("qing", posts=frozenset({"cleaner"}), unit="cleaning")
LEADER = Actor("lin", frozenset({"leader"}))
RESIDENT = Actor(None, reporter=True)
EVERYBODY = (
    OPERATOR,
    CHIEF,
    DISPATCHER,
    COLLECTOR,
    HEAD,
    CREW,
    CLEANER,
    LEADER,
    RESIDENT,
    THE_SYSTEM,
)

# The diagram of the domain, 3.3, copied by hand: from, to, and who makes it there.
DIAGRAM = {
    ("reported", "verifying", "operator"),
    ("verifying", "reported", "collector"),
    ("reported", "refused", "operator"),
    ("reported", "accepted", "operator"),
    ("accepted", "declined", "watch_chief"),
    ("accepted", "filed", "watch_chief"),
    ("filed", "dispatched", "dispatcher"),
    ("filed", "voided", "watch_chief"),
    ("dispatched", "filed", "unit_head"),
    ("dispatched", "in_disposal", "unit_head"),
    ("in_disposal", "dispatched", "assignee"),
    ("in_disposal", "disposed", "assignee"),
    ("disposed", "in_disposal", "unit_head"),
    ("disposed", "checking", "operator"),
    ("checking", "pending_close", "collector"),
    ("checking", "dispatched", "collector"),
    ("pending_close", "closed", "watch_chief"),
    ("pending_close", "dispatched", "watch_chief"),
    ("dispatched", "suspended", "watch_chief"),
    ("in_disposal", "suspended", "watch_chief"),
    ("suspended", "dispatched", "system"),
}
# What Gridward adds to the diagram: from, to.
OWN = {
    ("filed", "accepted"),  # dispatcher back to the operator, receiver rule
    (
        "in_disposal",
        "filed",
    ),  # return with the assignment withdrawn in one go; not accepted in time
    ("disposed", "pending_close"),  # no check needed
    ("closed", "filed"),  # reopened
    ("reported", "fixed_on_spot"),
    ("fixed_on_spot", "accepted"),
}


def at(text: str) -> datetime:
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)


NOON = at("03-02 12:00")


class Case:
    """One incident in a test: facts and clocks that follow every move."""

    def __init__(self, reported_at: str, rules: Rules = STATIONED, **facts: object) -> None:
        self.rules = rules
        self.facts = Facts(State.REPORTED, **facts)  # type: ignore[arg-type]
        self.clocks: dict[ClockKind, Clock] = clocks_at_report(LIMITS, at(reported_at))

    def move(self, when: str, name: str, actor: Actor, **given: object) -> None:
        now = at(when)
        self.facts = facts_now(self.facts, self.clocks, CHINA, now)
        brought = Given(**given)  # type: ignore[arg-type]
        step = check_move(name, actor, self.facts, brought, self.rules, now)
        self.clocks = clocks_after(
            step, self.clocks, self.facts, brought, LIMITS, self.rules, CHINA, now
        )
        self.facts = facts_after(step, self.facts, actor, brought, self.rules, now)

    def refused(self, when: str, name: str, actor: Actor, **given: object) -> Trouble:
        before = facts_now(self.facts, self.clocks, CHINA, at(when)), dict(self.clocks)
        with pytest.raises(Trouble) as refused:
            self.move(when, name, actor, **given)
        assert (self.facts, self.clocks) == before
        return refused.value

    def used(self, when: str, kind: ClockKind = ClockKind.DISPOSAL) -> float:
        return used_minutes(self.clocks[kind], at(when), CHINA)

    def to_work(self) -> Case:
        """Filed, dispatched to the roads unit and in ming's hands, Monday 2 March 09:00."""
        self.move("03-02 08:52", "accept", OPERATOR)
        self.move("03-02 08:55", "file", CHIEF, filing_condition="01003-3")
        self.move("03-02 09:00", "dispatch", DISPATCHER, unit="roads")
        self.move("03-02 09:05", "assign", HEAD, to="ming")
        return self


AFTER = frozenset({"after"})


def new_case(**facts: object) -> Case:
    return Case("03-02 08:50", **facts)


# --- the table itself


def test_the_table_holds_the_diagram_and_says_what_it_adds() -> None:
    edges = {
        (source.value, move.to.value)
        for move in MOVES.values()
        if move.to is not None
        for source in move.from_states
    }
    wanted = {(source, target) for source, target, _ in DIAGRAM}
    assert wanted <= edges
    ways_out = {"merged", "closed"}  # merging and forced closing leave from many states
    extra = {edge for edge in edges - wanted - OWN if edge[1] not in ways_out}
    assert extra == set()
    forced = {source for source, target in edges if target == "closed"}
    assert forced == {state.value for state in MOVES["force_close"].from_states}


@pytest.mark.parametrize(("source", "target", "who"), sorted(DIAGRAM))
def test_the_diagrams_actor_may(source: str, target: str, who: str) -> None:
    assert any(
        who in move.who and move.to == State(target) and State(source) in move.from_states
        for move in MOVES.values()
    )


def test_every_word_of_the_table_has_a_meaning() -> None:
    given_names = {each.name for each in fields(Given)} | {"to_or_unit"}
    for move in MOVES.values():
        assert set(move.guards) <= GUARDS.keys()
        assert set(move.effects) <= EFFECTS.keys()
        for need in move.needs:
            assert need in given_names or need in ("photo_before", "photo_after"), need
        for part in move.clocks:
            assert part.action in {
                "start",
                "begin",
                "pause",
                "resume",
                "stop",
                "rework",
                "extend",
                "relimit",
            }
    used_guards = {guard for move in MOVES.values() for guard in move.guards}
    used_effects = {effect for move in MOVES.values() for effect in move.effects}
    assert used_guards == GUARDS.keys()
    assert used_effects == EFFECTS.keys()
    assert STAGES.keys() == set(State) - ENDED


def test_dispatchers_neither_file_nor_close_and_operators_do_not_dispatch() -> None:
    for name, move in MOVES.items():
        if name in ("file", "close", "decline", "void", "force_close"):
            assert "dispatcher" not in move.who
        if name == "dispatch":
            assert "operator" not in move.who
        if name.startswith("check_") or name == "close":
            assert not move.by_doer
            assert "assignee" not in move.who


# --- refusals


def test_refusals_say_why_and_what_is_possible() -> None:
    facts = Facts(State.REPORTED)
    with pytest.raises(Conflict) as now:
        check_move("close", CHIEF, facts, Given(), STATIONED, NOON)
    assert now.value.code == "move.not_now"
    assert now.value.values["state"] == "reported"
    assert now.value.values["possible"] == ["set_category", "merge", "note"]
    with pytest.raises(NotAllowed) as yours:
        check_move("accept", DISPATCHER, facts, Given(), STATIONED, NOON)
    assert yours.value.code == "move.not_yours"
    with pytest.raises(BadInput) as unknown:
        check_move("teleport", DISPATCHER, facts, Given(), STATIONED, NOON)
    assert unknown.value.code == "move.unknown"
    with pytest.raises(BadInput) as reason:
        check_move("refuse", OPERATOR, facts, Given(reason="  "), STATIONED, NOON)
    assert reason.value.code == "move.reason_missing"
    assert reason.value.values["move"] == "refuse"


@pytest.mark.parametrize(
    ("name", "actor", "state", "given", "code"),
    [
        ("file", CHIEF, State.ACCEPTED, Given(), "move.filing_condition_missing"),
        ("close", CHIEF, State.PENDING_CLOSE, Given(), "move.closing_condition_missing"),
        ("dispatch", DISPATCHER, State.FILED, Given(), "move.to_missing"),
        ("send_verify", OPERATOR, State.REPORTED, Given(), "move.to_missing"),
        ("check_failed", COLLECTOR, State.CHECKING, Given(), "move.reason_missing"),
        ("set_place", OPERATOR, State.REPORTED, Given(), "move.place_missing"),
        ("set_category", OPERATOR, State.REPORTED, Given(reason="x"), "move.category_missing"),
        ("merge", OPERATOR, State.REPORTED, Given(), "move.into_missing"),
        ("suspend", CHIEF, State.IN_DISPOSAL, Given(reason="winter"), "move.until_missing"),
        (
            "suspend",
            CHIEF,
            State.IN_DISPOSAL,
            Given(reason="winter", until=NOON - timedelta(days=1)),
            "move.until_past",
        ),
        (
            "suspend",
            CHIEF,
            State.IN_DISPOSAL,
            Given(reason="winter", until=NOON + timedelta(days=366)),
            "move.until_too_far",
        ),
    ],
)
def test_what_is_missing_is_named(
    name: str, actor: Actor, state: State, given: Given, code: str
) -> None:
    facts = Facts(state, filing_condition="01003-1")
    with pytest.raises(BadInput) as missing:
        check_move(name, actor, facts, given, STATIONED, NOON)
    assert missing.value.code == code


def test_the_second_of_two_is_told_the_new_state() -> None:
    case = new_case()
    case.move("03-02 08:52", "accept", OPERATOR)
    late = case.refused("03-02 08:52", "accept", OPERATOR)
    assert isinstance(late, Conflict)
    assert late.values["state"] == "accepted"


def test_a_photo_is_needed_to_submit() -> None:
    case = new_case().to_work()
    missing = case.refused("03-02 10:00", "submit", CREW)
    assert (missing.code, missing.values["stage"]) == ("move.photo_missing", "after")
    case.move("03-02 10:00", "submit", CREW, photos=AFTER)
    assert case.facts.state is State.DISPOSED


def test_only_the_assignee_submits() -> None:
    case = new_case().to_work()
    assert case.refused("03-02 10:00", "submit", CLEANER, photos=AFTER).code == "move.not_yours"
    assert case.refused("03-02 10:00", "submit", HEAD, photos=AFTER).code == "move.not_yours"


def test_another_units_head_has_no_say() -> None:
    case = new_case()
    case.move("03-02 08:52", "accept", OPERATOR)
    case.move("03-02 08:55", "file", CHIEF, filing_condition="01003-3")
    case.move("03-02 09:00", "dispatch", DISPATCHER, unit="roads")
    other = Actor("xu", frozenset({"unit_head"}), unit="parks")
    assert case.refused("03-02 09:05", "assign", other, to="somebody").code == "move.not_yours"


# --- separation


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("check_passed", State.CHECKING),
        ("check_failed", State.CHECKING),
        ("close", State.PENDING_CLOSE),
        ("reject_result", State.PENDING_CLOSE),
        ("force_close", State.PENDING_CLOSE),
    ],
)
def test_whoever_did_the_work_neither_checks_nor_closes(name: str, state: State) -> None:
    everything = Actor(
        "one", frozenset({"collector", "watch_chief", "leader", "operator"}), frozenset({"cleaner"})
    )
    given = Given(reason="r", closing_condition="c")
    facts = Facts(state, doers=frozenset({"one"}))
    with pytest.raises(NotAllowed) as own:
        check_move(name, everything, facts, given, STATIONED, NOON)
    assert own.value.code == "move.own_work"
    check_move(name, replace(everything, person="two"), facts, given, STATIONED, NOON)


def test_the_unit_does_not_check_its_own_work() -> None:
    facts = Facts(State.CHECKING, doers=frozenset({"ming"}), doer_units=frozenset({"roads"}))
    colleague = Actor("wu", frozenset({"collector"}), unit="roads")
    assert "check_passed" not in allowed(colleague, facts, STATIONED, NOON)
    assert "check_passed" in allowed(colleague, facts, Rules(separate_units=False), NOON)
    assert "check_passed" in allowed(COLLECTOR, facts, STATIONED, NOON)


def test_merged_stations_keep_the_separation() -> None:
    small = Rules(also={"operator": frozenset({"watch_chief", "collector"})})
    filed = Facts(State.ACCEPTED)
    assert "file" in allowed(OPERATOR, filed, small, NOON)
    assert "file" not in allowed(OPERATOR, filed, STATIONED, NOON)
    own = Facts(State.CHECKING, doers=frozenset({"olga"}))
    assert "check_passed" not in allowed(OPERATOR, own, small, NOON)


def test_an_administrator_stands_in_for_stations_but_not_for_assignee_or_leader() -> None:
    admin = Actor("root", frozenset({"administrator"}))
    rules = Rules()
    assert "dispatch" in allowed(admin, Facts(State.FILED, filing_condition="c"), rules, NOON)
    assert "submit" not in allowed(admin, Facts(State.IN_DISPOSAL), rules, NOON)
    assert "force_close" not in allowed(admin, Facts(State.IN_DISPOSAL), rules, NOON)


# --- the quick way and the queues


def test_an_ordinary_report_goes_straight_to_a_phone() -> None:
    case = Case("03-02 08:50", Rules(), filing_condition="06010-1", channel="patrol")
    path = quick_path(case.facts, case.rules, assignee_known=True)
    assert path == ("accept", "file", "dispatch", "assign")
    for name in path:
        case.move("03-02 08:50", name, THE_SYSTEM, filing_condition="06010-1", to="qing")
    assert case.facts.state is State.IN_DISPOSAL
    assert case.facts.assignees == {"qing"}
    assert queues(case.facts) == ()
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-03 08:50")
    assert case.clocks[ClockKind.ACCEPT].stopped_at == at("03-02 08:50")


def test_what_must_wait_waits_where_it_is_seen() -> None:
    nowhere = Facts(State.REPORTED, has_place=False, filing_condition="c")
    assert quick_path(nowhere, Rules(), True) == ()
    assert queues(nowhere) == ("place_needed",)
    assert "accept" not in allowed(OPERATOR, nowhere, Rules(), NOON)
    with pytest.raises(Conflict) as place:
        check_move("accept", OPERATOR, nowhere, Given(), Rules(), NOON)
    assert place.value.code == "move.place_needed"
    nobody = Facts(State.REPORTED, filing_condition="c")
    assert quick_path(nobody, Rules(), assignee_known=False) == ("accept", "file")
    assert quick_path(Facts(State.REPORTED), Rules(), True) == ("accept",)
    doubtful = Facts(State.REPORTED, channel="wechat", filing_condition="c")
    rules = Rules(verify_first=frozenset({"wechat"}))
    assert quick_path(doubtful, rules, True) == ()
    assert queues(doubtful) == ("to_accept",)
    assert quick_path(replace(doubtful, verified=True), rules, True)
    filed = Facts(State.FILED, filing_condition="c")
    assert quick_path(filed, rules, assignee_known=False) == ()
    assert quick_path(filed, rules, assignee_known=True) == ("dispatch", "assign")
    for back in (replace(filed, returned=True), replace(filed, not_accepted=True)):
        assert quick_path(back, rules, assignee_known=True) == ()


def test_queues_by_state() -> None:
    expected = {
        State.VERIFYING: ("verifying",),
        State.ACCEPTED: ("to_file",),
        State.FILED: ("to_dispatch",),
        State.DISPOSED: ("to_feed_back",),
        State.CHECKING: ("to_check",),
        State.PENDING_CLOSE: ("to_close",),
        State.SUSPENDED: ("suspended",),
        State.CLOSED: (),
    }
    for state, names in expected.items():
        assert queues(Facts(state)) == names
    assert queues(Facts(State.FILED, returned=True)) == ("returned",)
    assert queues(Facts(State.FILED, not_accepted=True)) == ("not_accepted",)
    assert queues(Facts(State.DISPOSED, fed_back=True)) == ("to_send_check",)
    asking = Facts(State.IN_DISPOSAL, extension_asked_by="ming", overdue=True, question_open=True)
    assert queues(asking) == ("extension_asked", "question_open", "overdue")


def test_what_the_system_does_by_itself() -> None:
    assert follow_ups(Facts(State.DISPOSED), Rules()) == ("feed_back", "send_check")
    assert follow_ups(Facts(State.DISPOSED), STATIONED) == ()
    no_check = Rules(check_needed=False)
    assert follow_ups(Facts(State.DISPOSED), no_check) == ("feed_back", "skip_check")
    rework = Facts(State.DISPATCHED, assignees=frozenset({"ming"}))
    assert follow_ups(rework, Rules()) == ("assign",)
    assert follow_ups(rework, STATIONED) == ()


# --- walks by hand


def test_the_plain_case() -> None:
    case = new_case().to_work()
    assert case.used("03-02 08:55", ClockKind.ACCEPT) == 5
    assert case.used("03-02 23:00", ClockKind.DISPATCH) == 5
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-03 09:00")
    case.move("03-02 16:00", "submit", CREW, photos=AFTER)
    assert case.used("03-02 17:00") == 360  # runs until the unit feeds back, not the person
    case.move("03-02 17:30", "feed_back", HEAD, photos=AFTER)
    assert case.used("03-20 17:00") == 390
    case.move("03-02 17:40", "send_check", OPERATOR)
    case.move("03-02 18:10", "check_passed", COLLECTOR)
    assert case.used("03-20 18:00", ClockKind.CHECK) == 30
    case.move("03-02 18:20", "close", CHIEF, closing_condition="01003-3")
    assert case.facts.state is State.CLOSED
    assert not case.facts.late
    assert case.facts.doers == {"ming", "hu"}


def test_return_and_dispatch_to_another_unit() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "return", CREW, reason="the water company's cover")
    assert queues(case.facts) == ("returned",)
    assert case.facts.assignees == frozenset()
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) is None
    # Nothing goes past the dispatcher: not the system, not the leader, not the watch chief.
    assert (
        case.refused("03-02 10:01", "dispatch", THE_SYSTEM, to="qing").code == "move.returned_first"
    )
    assert (
        case.refused("03-02 10:01", "force_close", LEADER, reason="r").code == "move.returned_first"
    )
    assert case.refused("03-02 10:01", "void", CHIEF, reason="r").code == "move.returned_first"
    assert "close" not in allowed(DISPATCHER, case.facts, case.rules, NOON)
    case.move("03-02 10:10", "dispatch", DISPATCHER, unit="water")
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-03 10:10")
    assert case.clocks[ClockKind.DISPOSAL].round == 2
    assert case.used("03-02 12:00", ClockKind.DISPATCH) == 10


def test_return_and_dispatch_to_the_same_unit() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "return", HEAD, reason="not ours")
    case.move("03-02 15:00", "dispatch", DISPATCHER, unit="roads")
    # one hour used, seven left: three on Monday from 15:00, four on Tuesday morning
    assert case.used("03-02 15:00") == 60
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-03 12:00")


def test_back_to_the_operator_after_a_return() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "return", CREW, reason="nothing there")
    case.move("03-02 10:05", "send_back", DISPATCHER, reason="file anew")
    assert case.facts.state is State.ACCEPTED
    assert not case.facts.returned
    case.move("03-02 10:10", "decline", CHIEF, reason="nothing there")
    assert case.facts.ended


def test_no_return_once_overdue() -> None:
    case = new_case().to_work()
    assert case.refused("03-03 09:01", "return", CREW, reason="r").code == "move.overdue"


def test_rework_runs_on_and_the_doer_stays_out() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "submit", CREW, photos=AFTER)
    case.move("03-02 10:30", "feed_back", HEAD, photos=AFTER)
    case.move("03-02 10:40", "send_check", OPERATOR)
    case.move("03-02 11:00", "check_failed", COLLECTOR, reason="still rattles")
    assert (case.facts.state, case.facts.reworks) == (State.DISPATCHED, 1)
    assert case.used("03-02 11:30") == 120  # 09:00-10:30 and 11:00-11:30
    case.move("03-02 11:30", "assign", HEAD, to="ming")
    anew = Case("03-02 08:50", replace(STATIONED, rework="starts_anew")).to_work()
    anew.move("03-02 10:00", "submit", CREW, photos=AFTER)
    anew.move("03-02 10:30", "feed_back", HEAD, photos=AFTER)
    anew.move("03-02 10:40", "send_check", OPERATOR)
    anew.move("03-02 11:00", "check_failed", COLLECTOR, reason="still rattles")
    assert due_at(anew.clocks[ClockKind.DISPOSAL], CHINA) == at("03-03 11:00")


def test_a_late_result_is_marked_even_when_checked_quickly() -> None:
    case = new_case().to_work()
    case.move("03-03 09:30", "submit", CREW, photos=AFTER)
    case.move("03-03 09:40", "feed_back", HEAD, photos=AFTER)
    assert case.facts.late
    case.move("03-03 09:45", "send_check", OPERATOR)
    case.move("03-03 09:50", "check_passed", COLLECTOR)
    case.move("03-03 10:00", "close", CHIEF, closing_condition="x")
    assert case.refused("03-03 10:05", "grant_appeal", OPERATOR).code == "move.appeal_not_endorsed"
    case.move("03-03 10:10", "appeal", HEAD, reason="rain")
    assert case.refused("03-03 10:11", "appeal", HEAD, reason="rain").code == "move.already_asked"
    case.move("03-03 10:20", "endorse_appeal", DISPATCHER)
    case.move("03-03 10:30", "grant_appeal", OPERATOR)
    assert case.facts.appeal == "granted"


def test_extension_asked_refused_and_granted() -> None:
    case = new_case().to_work()
    assert case.refused("03-02 09:30", "grant_extension", DISPATCHER).code == "move.nothing_asked"
    case.move("03-02 10:00", "ask_extension", CREW, reason="parts")
    assert (
        case.refused("03-02 10:01", "ask_extension", CREW, reason="x").code == "move.already_asked"
    )
    case.move("03-02 10:05", "refuse_extension", DISPATCHER, reason="no")
    assert case.clocks[ClockKind.DISPOSAL].extensions == 0
    for hour in (11, 12):
        case.move(f"03-02 {hour}:00", "ask_extension", CREW, reason="parts")
        case.move(f"03-02 {hour}:05", "grant_extension", DISPATCHER)
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-05 09:00")  # three days in all
    used_up = case.refused("03-02 15:00", "ask_extension", CREW, reason="parts")
    assert used_up.code == "move.extensions_used_up"


def test_an_extension_is_granted_while_a_question_is_open() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "ask_extension", CREW, reason="parts")
    case.move("03-02 10:05", "ask_reporter", DISPATCHER, reason="which lamp?")
    case.move("03-02 10:10", "grant_extension", DISPATCHER)
    case.move("03-02 10:15", "answered", RESIDENT)
    # ten minutes of pause on top of two days from Monday 09:00
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-04 09:10")


def test_nobody_grants_what_they_asked_for_themselves() -> None:
    case = new_case().to_work()
    both = Actor("hu", frozenset({"unit_head", "dispatcher", "watch_chief"}), unit="roads")
    case.move("03-02 10:00", "ask_extension", both, reason="parts")
    own = case.refused("03-02 10:01", "grant_extension", both)
    assert (type(own), own.code) == (NotAllowed, "move.own_request")


def test_no_extension_once_overdue() -> None:
    case = new_case().to_work()
    assert case.refused("03-03 09:01", "ask_extension", CREW, reason="r").code == "move.overdue"


def test_suspension_over_the_spring_festival_ends_by_itself() -> None:
    case = Case("02-12 09:00")
    case.move("02-12 09:00", "accept", OPERATOR)
    case.move("02-12 09:05", "file", CHIEF, filing_condition="01003-4")
    case.move("02-12 10:00", "dispatch", DISPATCHER, unit="roads")  # Thursday
    case.move("02-12 10:05", "assign", HEAD, to="ming")
    case.move("02-12 11:00", "ask_suspension", HEAD, reason="frost", until=at("03-02 08:00"))
    case.move("02-12 12:00", "suspend", CHIEF, reason="frost", until=at("03-02 08:00"))
    assert case.refused("02-20 10:00", "submit", CREW, photos=AFTER).code == "move.not_now"
    assert case.refused("02-20 10:00", "resume", THE_SYSTEM).code == "move.not_yet"
    case.move("03-02 08:00", "resume", THE_SYSTEM)
    assert case.facts.state is State.DISPATCHED
    # two hours used on Thursday; six left: Monday 08:00-12:00 and 14:00-16:00
    assert due_at(case.clocks[ClockKind.DISPOSAL], CHINA) == at("03-02 16:00")
    again = case.refused("03-02 09:00", "suspend", CHIEF, reason="r", until=at("03-09 08:00"))
    assert again.code == "move.suspensions_used_up"


def test_verifying_pauses_acceptance() -> None:
    case = new_case()
    case.move("03-02 08:55", "send_verify", OPERATOR, to="cai")
    case.move("03-02 09:20", "verify_confirmed", COLLECTOR)
    assert case.used("03-02 09:20", ClockKind.VERIFY) == 25
    assert case.used("03-02 09:25", ClockKind.ACCEPT) == 10
    assert case.facts.verified


def test_a_question_pauses_and_the_answer_resumes() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "ask_reporter", DISPATCHER, reason="which lamp?")
    assert (
        case.refused("03-02 10:01", "ask_reporter", DISPATCHER, reason="?").code
        == "move.already_asked"
    )
    case.move("03-02 11:00", "answered", RESIDENT)
    assert case.used("03-02 12:00") == 120


def test_another_person_does_not_restart_the_clock() -> None:
    case = new_case().to_work()
    case.move("03-02 11:00", "reassign", HEAD, to="wei", reason="sick")
    assert case.facts.assignees == {"wei"}
    assert case.used("03-02 11:00") == 120
    assert case.refused("03-02 11:05", "submit", CREW, photos=AFTER).code == "move.not_yours"


def test_a_task_not_accepted_comes_back_and_its_clock_runs_on() -> None:
    case = new_case().to_work()
    case.move("03-02 09:35", "not_accepted", THE_SYSTEM)
    assert queues(case.facts) == ("not_accepted",)
    assert (
        case.refused("03-02 09:36", "dispatch", THE_SYSTEM, unit="roads").code
        == "move.returned_first"
    )
    case.move("03-02 10:00", "dispatch", DISPATCHER, unit="roads")
    assert case.used("03-02 10:00") == 60


def test_merging_and_undoing_it() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "merge", DISPATCHER, into="A-1")
    assert case.facts.state is State.MERGED
    assert case.facts.ended
    case.move("03-02 11:00", "unmerge", DISPATCHER, reason="another cover")
    assert case.facts.state is State.IN_DISPOSAL
    assert case.facts.merged_into is None
    assert case.used("03-02 11:30") == 90


def test_forced_closing_is_marked() -> None:
    case = new_case().to_work()
    assert case.refused("03-02 10:00", "force_close", CHIEF, reason="r").code == "move.not_yours"
    case.move("03-02 10:00", "force_close", LEADER, reason="road rebuilt next week")
    assert (case.facts.state, case.facts.forced) == (State.CLOSED, True)
    assert case.used("03-20 10:00") == 60


def test_a_resident_reopens_within_the_period() -> None:
    case = new_case().to_work()
    case.move("03-02 10:00", "force_close", LEADER, reason="r")
    late = case.refused("03-17 10:01", "reopen", RESIDENT, reason="not fixed")
    assert (late.code, late.values["days"]) == ("move.reopen_too_late", 15)
    assert case.refused("03-03 10:00", "reopen", CLEANER, reason="x").code == "move.not_yours"
    case.move("03-03 10:00", "reopen", RESIDENT, reason="not fixed")
    assert (case.facts.state, case.facts.reopened) == (State.FILED, 1)
    case.move("03-03 11:00", "dispatch", DISPATCHER, unit="roads")
    assert case.used("03-03 12:00") == 120  # 60 before the closing, 60 since


def test_supervision_by_a_leader() -> None:
    case = new_case()
    case.move("03-02 09:00", "supervise", LEADER)
    assert case.refused("03-02 09:01", "supervise", LEADER).code == "move.already_supervised"
    assert (
        case.refused("03-02 09:01", "lift_supervision", CHIEF, reason="r").code == "move.not_yours"
    )
    case.move("03-02 09:02", "lift_supervision", LEADER, reason="done")
    assert not case.facts.supervised


def test_found_and_fixed_is_no_closing_and_can_be_doubted() -> None:
    patrol = Actor("qing", posts=frozenset({"cleaner"}))
    case = new_case(reporters=frozenset({"qing"}))
    both = frozenset({"before", "after"})
    assert (
        case.refused("03-02 09:00", "found_and_fixed", patrol, photos=AFTER).code
        == "move.photo_missing"
    )
    assert (
        case.refused("03-02 09:00", "found_and_fixed", RESIDENT, photos=both).code
        == "move.not_yours"
    )
    case.move("03-02 09:00", "found_and_fixed", patrol, photos=both)
    assert case.facts.state is State.FIXED_ON_SPOT
    self_doubt = Actor("qing", frozenset({"operator"}))
    assert case.refused("03-02 09:10", "doubt_fix", self_doubt, reason="r").code == "move.own_work"
    case.move("03-02 09:10", "doubt_fix", OPERATOR, reason="dirt still there")
    assert case.facts.state is State.ACCEPTED


def test_linked_cleaner_and_maintainer() -> None:
    case = new_case().to_work()
    case.move("03-02 09:30", "add_task", CREW, to="qing")
    blocked = case.refused("03-02 10:00", "submit", CREW, photos=AFTER)
    assert (blocked.code, blocked.values["count"]) == ("move.tasks_open", 1)
    case.facts = replace(case.facts, open_tasks=0)
    case.move("03-02 11:00", "submit", CREW, photos=AFTER)


# --- tasks


def test_task_moves() -> None:
    rules = Rules()
    offered = TaskState.OFFERED
    assert (
        check_task_move("accept_task", CREW, "ming", offered, Given(), rules) is TaskState.ACCEPTED
    )
    assert allowed_task_moves(CLEANER, "ming", offered, rules) == ()
    assert "withdraw_task" in allowed_task_moves(DISPATCHER, "ming", offered, rules)
    with pytest.raises(NotAllowed) as yours:
        check_task_move("arrive", CLEANER, "ming", offered, Given(), rules)
    assert yours.value.code == "task.not_yours"
    with pytest.raises(Conflict) as now:
        check_task_move("arrive", CREW, "ming", TaskState.DONE, Given(), rules)
    assert now.value.code == "task.not_now"
    with pytest.raises(BadInput) as photo:
        check_task_move("finish_task", CREW, "ming", TaskState.ARRIVED, Given(), rules)
    assert photo.value.code == "move.photo_missing"
    with pytest.raises(BadInput) as reason:
        check_task_move("return_task", CREW, "ming", offered, Given(), rules)
    assert reason.value.code == "move.reason_missing"
    with pytest.raises(BadInput):
        check_task_move("dance", CREW, "ming", offered, Given(), rules)


def outcome(*states: tuple[bool, TaskState]) -> Outcome:
    return after_tasks([Part(at, lead, state) for at, (lead, state) in enumerate(states)])


def test_an_incident_follows_its_tasks() -> None:
    lead, helper = True, False
    done, offered, returned = TaskState.DONE, TaskState.OFFERED, TaskState.RETURNED
    lapsed, withdrawn, waiting = TaskState.LAPSED, TaskState.WITHDRAWN, TaskState.WAITING
    assert outcome((lead, done)) == Outcome("submit", (), 0, 0)
    assert outcome((lead, done), (helper, offered)) == Outcome(None, (), 1, 0)
    assert outcome((lead, offered), (helper, done)) == Outcome(None, (), 0, 0)
    assert outcome((lead, done), (helper, done), (helper, withdrawn)).move == "submit"
    # The cleaner begins when the maintainer is done, not before.
    assert outcome((lead, offered), (helper, waiting)) == Outcome(None, (), 1, 0)
    assert outcome((lead, done), (helper, waiting)) == Outcome(None, (1,), 1, 0)
    # What a helper hands back waits for the dispatcher and keeps the incident from being done.
    assert outcome((lead, done), (helper, returned)) == Outcome(None, (), 0, 1)
    assert outcome((lead, done), (helper, lapsed), (helper, done)) == Outcome(None, (), 0, 1)
    # What the lead hands back brings the whole incident back, whatever the helpers do.
    assert outcome((lead, returned), (helper, done)).move == "return"
    assert outcome((lead, lapsed), (helper, offered)).move == "not_accepted"
    assert outcome((lead, withdrawn), (lead, offered)).move is None
    assert outcome() == Outcome(None, (), 0, 0)
    assert outcome((lead, withdrawn)).move is None


def test_nobody_may_everything() -> None:
    for state in State:
        facts = Facts(state, filing_condition="c")
        for actor in EVERYBODY:
            assert len(allowed(actor, facts, STATIONED, NOON)) < 20
