"""The one table of the closed loop: every state, every move, who may make it, what it needs and what its clocks do.

Read a row as: from these states, this move leads to that state ("stay": none; "back": the state before), these
may make it, these guards must hold, these things must be given, these clocks change, these facts change.
Roles, guards, needs, clock steps and effects are words whose meaning stands in `workflow` and `progress`.
Sources: domain 3.2 to 3.4; rows marked [G] are Gridward's own.
"""

from __future__ import annotations

from enum import StrEnum

from dispatch.clocks import ClockKind
from grid.core.values import dataclass


class State(StrEnum):
    """States of an incident (domain 3.3). `merged` and `fixed_on_spot` are Gridward's own: neither is a closing."""

    REPORTED = "reported"
    VERIFYING = "verifying"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    FILED = "filed"
    VOIDED = "voided"
    DISPATCHED = "dispatched"
    IN_DISPOSAL = "in_disposal"
    SUSPENDED = "suspended"
    DISPOSED = "disposed"
    CHECKING = "checking"
    PENDING_CLOSE = "pending_close"
    CLOSED = "closed"
    MERGED = "merged"
    FIXED_ON_SPOT = "fixed_on_spot"


ENDED = frozenset(
    {
        State.REFUSED,
        State.DECLINED,
        State.VOIDED,
        State.CLOSED,
        State.MERGED,
        State.FIXED_ON_SPOT,
    }
)
OPEN = frozenset(State) - ENDED
STAGES: dict[State, int] = {  # domain 3.1: 1 collection … 6 check and close
    State.REPORTED: 1,
    State.VERIFYING: 1,
    State.ACCEPTED: 2,
    State.FILED: 3,
    State.DISPATCHED: 4,
    State.IN_DISPOSAL: 4,
    State.SUSPENDED: 4,
    State.DISPOSED: 5,
    State.CHECKING: 6,
    State.PENDING_CLOSE: 6,
}


@dataclass(frozen=True, slots=True)
class ClockStep:
    """What a move does to a clock: start, begin, pause, resume, stop, rework, extend or relimit; kind None means all."""

    kind: ClockKind | None
    action: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table. `to` None keeps the state, or goes to the one before when `back` is set.

    `by_doer` False: whoever did the work may not make this move (separation of supervision and disposal).
    """

    name: str
    from_states: frozenset[State]
    to: State | None
    back: bool
    who: frozenset[str]
    guards: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    clocks: tuple[ClockStep, ...] = ()
    effects: tuple[str, ...] = ()
    by_doer: bool = True


def _row(
    name: str,
    from_states: str,
    to: str,
    who: str,
    guards: str = "",
    needs: str = "",
    clocks: str = "",
    effects: str = "",
    by_doer: bool = True,
) -> Move:
    states = OPEN if from_states == "open" else frozenset(map(State, from_states.split()))
    return Move(
        name=name,
        from_states=states,
        to=None if to in ("stay", "back") else State(to),
        back=to == "back",
        who=frozenset(who.split()),
        guards=tuple(guards.split()),
        needs=tuple(needs.split()),
        clocks=tuple(_clock_step(text) for text in clocks.split(";") if text.strip()),
        effects=tuple(effects.split()),
        by_doer=by_doer,
    )


def _clock_step(text: str) -> ClockStep:
    kind, action, why = (*text.split(), "")[:3]
    return ClockStep(None if kind == "all" else ClockKind(kind), action, why)


_WORK = "dispatched in_disposal"
_BEFORE_RESULT = "reported verifying accepted filed dispatched in_disposal"
_AFTER_FILING = "filed dispatched in_disposal suspended disposed checking pending_close"

_ROWS = (
    # 1 and 2: collection and creation
    _row("send_verify", "reported", "verifying", "operator", needs="to", clocks="accept pause verifying; verify start"),
    _row("verify_confirmed", "verifying", "reported", "collector operator", clocks="verify stop; accept resume verifying", effects="verified"),
    _row("verify_denied", "verifying", "reported", "collector operator", needs="reason", clocks="verify stop; accept resume verifying"),
    _row("refuse", "reported", "refused", "operator", needs="reason", clocks="all stop"),
    _row("accept", "reported", "accepted", "operator system", guards="place_known"),
    _row("decline", "accepted", "declined", "watch_chief", needs="reason", clocks="all stop"),
    _row("file", "accepted", "filed", "watch_chief system", needs="filing_condition", clocks="accept stop; dispatch start", effects="condition"),
    # 3: dispatch
    _row("dispatch", "filed", "dispatched", "dispatcher system", guards="condition_known returned_by_person", needs="to_or_unit", clocks="dispatch stop; disposal begin", effects="sent decided"),
    _row("send_back", "filed", "accepted", "dispatcher", needs="reason", clocks="dispatch stop; disposal pause returned; accept start", effects="decided"),
    _row("void", "filed", "voided", "watch_chief", guards="not_returned", needs="reason", clocks="all stop"),
    # 4: disposal
    _row("assign", "dispatched", "in_disposal", "unit_head dispatcher assignee system", needs="to", effects="assigned"),
    _row("return", _WORK, "filed", "assignee unit_head", guards="return_in_time", needs="reason", clocks="disposal pause returned; dispatch start", effects="returned"),
    _row("not_accepted", _WORK, "filed", "system", clocks="dispatch start", effects="not_accepted"),  # [G]
    _row("hand_back", "in_disposal", "dispatched", "assignee", needs="reason", effects="unassigned"),
    _row("reroute", _WORK, "stay", "system", needs="to_or_unit", clocks="disposal begin", effects="sent"),  # [G], place or category corrected
    _row("unrouted", _WORK, "filed", "system", clocks="disposal pause returned; dispatch start", effects="unrouted"),  # [G], nobody answers there
    _row("reassign", _WORK, "stay", "dispatcher unit_head", needs="to reason", effects="reassigned"),  # [G]
    _row("add_task", _WORK, "stay", "dispatcher unit_head assignee", needs="to_or_unit", effects="task_added"),  # [G]
    _row("submit", "in_disposal", "disposed", "assignee system", guards="tasks_done", needs="photo_after", effects="doer submitted"),
    # 5: feedback
    _row("not_content", "disposed", "in_disposal", "unit_head", guards="not_fed_back", needs="reason"),
    _row("feed_back", "disposed", "stay", "unit_head system", guards="not_fed_back", needs="photo_after", clocks="disposal stop", effects="doer fed_back"),
    # 6: check and close
    _row("send_check", "disposed", "checking", "operator system", guards="fed_back", clocks="check start"),
    _row("skip_check", "disposed", "pending_close", "operator watch_chief system", guards="fed_back check_free", clocks="close start", by_doer=False),
    _row("check_passed", "checking", "pending_close", "collector", clocks="check stop; close start", by_doer=False),
    _row("check_failed", "checking", "dispatched", "collector", needs="reason", clocks="check stop; disposal rework", effects="rework", by_doer=False),
    _row("close", "pending_close", "closed", "watch_chief", needs="closing_condition", clocks="all stop", effects="closed", by_doer=False),
    _row("reject_result", "pending_close", "dispatched", "watch_chief", needs="reason", clocks="close stop; disposal rework", effects="rework", by_doer=False),
    _row("force_close", _AFTER_FILING, "closed", "leader", guards="not_returned", needs="reason", clocks="all stop", effects="closed forced", by_doer=False),
    _row("reopen", "closed", "filed", "reporter operator watch_chief leader", guards="reopen_in_time", needs="reason", clocks="dispatch start", effects="reopened"),  # [G], domain 3.5
    _row("confirm_solved", "closed", "stay", "reporter", guards="reopen_in_time nothing_said", effects="solved_said"),  # [G], the reporter's own word
    # extension and suspension
    _row("ask_extension", _WORK, "stay", "assignee unit_head", guards="not_overdue extension_free", needs="reason", effects="extension_asked"),
    _row("grant_extension", _WORK, "stay", "dispatcher watch_chief", guards="extension_asked not_own_extension not_overdue", clocks="disposal extend", effects="extension_settled"),
    _row("refuse_extension", _WORK, "stay", "dispatcher watch_chief", guards="extension_asked", needs="reason", effects="extension_settled"),
    _row("ask_suspension", _WORK, "stay", "assignee unit_head dispatcher", guards="suspension_free", needs="reason until", effects="suspension_asked"),
    _row("refuse_suspension", _WORK, "stay", "watch_chief leader", guards="suspension_asked", needs="reason", effects="suspension_settled"),
    _row("suspend", _WORK, "suspended", "watch_chief leader", guards="suspension_left not_own_suspension", needs="reason until", clocks="disposal pause suspended", effects="suspended"),
    _row("resume", "suspended", "dispatched", "dispatcher watch_chief leader system", guards="resume_due", clocks="disposal resume suspended", effects="suspension_settled"),
    # beside the line
    _row("ask_reporter", "reported accepted filed dispatched in_disposal", "stay", "operator dispatcher assignee helper", guards="no_question", needs="reason", clocks="accept pause question; disposal pause question", effects="question"),  # [G]
    _row("answered", "reported accepted filed dispatched in_disposal suspended", "stay", "reporter operator dispatcher assignee helper system", guards="question_open", clocks="accept resume question; disposal resume question", effects="question_settled"),  # [G]
    _row("supervise", "open", "stay", "leader", guards="not_supervised", effects="supervised"),
    _row("lift_supervision", "open", "stay", "leader", guards="supervised", needs="reason", effects="supervision_lifted"),  # [G]
    _row("set_place", _BEFORE_RESULT, "stay", "operator dispatcher assignee collector", needs="place", effects="placed"),  # [G]
    _row("set_category", _BEFORE_RESULT, "stay", "operator watch_chief dispatcher assignee", needs="category reason", clocks="accept relimit; dispatch relimit; disposal relimit", effects="condition"),  # [G]
    _row("set_condition", "filed dispatched in_disposal suspended", "stay", "watch_chief", needs="filing_condition reason", clocks="disposal relimit", effects="condition"),  # [G], whoever files says under which condition
    _row("merge", "reported verifying accepted filed dispatched in_disposal suspended", "merged", "operator dispatcher watch_chief", guards="not_returned", needs="into", clocks="all pause merged", effects="merged"),  # [G]
    _row("unmerge", "merged", "back", "operator dispatcher watch_chief", needs="reason", clocks="all resume merged", effects="unmerged"),  # [G]
    _row("found_and_fixed", "reported", "fixed_on_spot", "field_reporter", guards="place_known", needs="photo_before photo_after", clocks="all stop", effects="doer"),  # domain 4.1
    _row("doubt_fix", "fixed_on_spot", "accepted", "operator watch_chief leader", needs="reason", clocks="accept start", by_doer=False),  # [G]
    _row("appeal", "closed", "stay", "unit_head assignee", guards="closed_late appeal_free", needs="reason", effects="appealed"),
    _row("endorse_appeal", "closed", "stay", "dispatcher", guards="appeal_asked", effects="appeal_endorsed", by_doer=False),
    _row("grant_appeal", "closed", "stay", "operator", guards="appeal_endorsed", effects="appeal_granted", by_doer=False),
    _row("refuse_appeal", "closed", "stay", "dispatcher operator", guards="appeal_undecided", needs="reason", effects="appeal_refused", by_doer=False),
    _row("note", " ".join(State), "stay", "operator watch_chief dispatcher collector unit_head leader evaluator assignee helper", needs="reason"),  # [G]
)  # fmt: skip

MOVES: dict[str, Move] = {row.name: row for row in _ROWS}


class TaskState(StrEnum):
    """States of one person's task; an incident has a lead task and any number of helpers' tasks (联动).

    `waiting`: a helper's task that is offered when the lead's is done.
    """

    WAITING = "waiting"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    ARRIVED = "arrived"
    DONE = "done"
    RETURNED = "returned"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


TASK_OPEN = frozenset({TaskState.OFFERED, TaskState.ACCEPTED, TaskState.ARRIVED})
TASK_REFUSED = frozenset({TaskState.RETURNED, TaskState.LAPSED})


@dataclass(frozen=True, slots=True)
class TaskMove:
    """One row of the task table; `holder` means the person the task was given to. `doer`: the mover has done work."""

    name: str
    from_states: frozenset[TaskState]
    to: TaskState
    who: frozenset[str]
    needs: tuple[str, ...] = ()
    doer: bool = False


def _task_row(
    name: str, from_states: str, to: str, who: str, needs: str = "", doer: bool = False
) -> TaskMove:
    states = frozenset(map(TaskState, from_states.split()))
    return TaskMove(name, states, TaskState(to), frozenset(who.split()), tuple(needs.split()), doer)


_TASK_ROWS = (
    _task_row("offer_task", "waiting", "offered", "system"),
    _task_row("accept_task", "offered", "accepted", "holder", doer=True),
    _task_row("arrive", "offered accepted", "arrived", "holder", doer=True),
    _task_row("finish_task", "offered accepted arrived", "done", "holder", "photo_after", doer=True),
    _task_row("return_task", "offered accepted arrived", "returned", "holder unit_head", "reason"),
    _task_row("lapse_task", "offered", "lapsed", "system"),
    _task_row("hand_over", "offered accepted arrived", "offered", "holder dispatcher unit_head", "to reason"),
    _task_row("withdraw_task", "waiting offered accepted arrived returned lapsed", "withdrawn", "dispatcher unit_head system", "reason"),
    _task_row("redo_task", "done", "offered", "system"),
)  # fmt: skip

TASK_MOVES: dict[str, TaskMove] = {row.name: row for row in _TASK_ROWS}
