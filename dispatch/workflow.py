"""Who may move what, when: the table of `moves` asked by actor, facts and rules. Pure, no database.

The order of refusal: an unknown move, a person who never makes it, a state it does not leave from, a person it does not
belong to here, work of one's own, a guard, a thing not given. So the slower of two people hears that the state
has changed, and a stranger only that the move is not theirs.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch.facts import SYSTEM, THE_SYSTEM, Actor, Facts, Given, Rules, Step
from dispatch.guards import GUARDS, Moment
from dispatch.moves import MOVES, TASK_MOVES, Move, State, TaskMove, TaskState
from grid.core.errors import BadInput, Conflict, NotAllowed, Trouble
from grid.core.values import dataclass

__all__ = [
    "SYSTEM",
    "THE_SYSTEM",
    "Actor",
    "Facts",
    "Given",
    "Rules",
    "Step",
    "allowed",
    "allowed_task_moves",
    "check_move",
    "check_task_move",
    "is_doer",
    "stations",
]


_FROM = {
    state: [name for name, move in MOVES.items() if state in move.from_states] for state in State
}


def check_move(
    name: str, actor: Actor, facts: Facts, given: Given, rules: Rules, now: datetime
) -> Step:
    """The step of a move that may be made now, or the reason why not.

    Raises BadInput move.unknown and move.*_missing; NotAllowed move.not_yours, move.own_work, move.own_request;
    Conflict move.not_now (with `state`) and the guards' codes. Each refusal carries `possible`.
    """
    asking = _Asking.of(actor, facts, rules, now)
    refusal = _refuse(name, asking) or _lacking(name, given, rules, now)
    if refusal is not None:
        refusal.values["move"] = name
        refusal.values["possible"] = list(allowed(actor, facts, rules, now))
        raise refusal
    move = MOVES[name]
    return Step(move, facts.state, _target(move, facts), move.clocks)


def allowed(actor: Actor, facts: Facts, rules: Rules, now: datetime) -> tuple[str, ...]:
    """Names of the moves this actor may make now, in the order of the table; what each needs is in its row."""
    asking = _Asking.of(actor, facts, rules, now)
    theirs = (name for name in _FROM[facts.state] if MOVES[name].who & asking.words)
    return tuple(name for name in theirs if _refuse(name, asking) is None)


def check_task_move(
    name: str, actor: Actor, holder: str | None, state: TaskState, given: Given, rules: Rules
) -> TaskState:
    """The state a task goes to. Raises as `check_move` does, with codes task.* and move.*_missing."""
    row = TASK_MOVES.get(name)
    refusal: Trouble | None = None
    if row is None:
        raise BadInput("move.unknown", "move", move=name, possible=[])
    words = _task_words(actor, holder, rules)
    if not words & row.who:
        refusal = NotAllowed("task.not_yours", move=name)
    elif state not in row.from_states:
        refusal = Conflict("task.not_now", move=name, state=state.value)
    else:
        refusal = _first_missing(row.needs, given, rules)
    if refusal is not None:
        refusal.values["possible"] = [
            each.name for each in TASK_MOVES.values() if _task_fits(each, words, state)
        ]
        raise refusal
    return row.to


def allowed_task_moves(
    actor: Actor, holder: str | None, state: TaskState, rules: Rules
) -> tuple[str, ...]:
    """Names of the task moves this actor may make now."""
    words = _task_words(actor, holder, rules)
    return tuple(name for name, row in TASK_MOVES.items() if _task_fits(row, words, state))


def is_doer(actor: Actor, facts: Facts, rules: Rules) -> bool:
    """True for whoever did the work, and for others of the unit that did it where `separate_units` holds."""
    same_unit = rules.separate_units and actor.unit is not None and actor.unit in facts.doer_units
    return (actor.person is not None and actor.person in facts.doers) or same_unit


def stations(actor: Actor, rules: Rules) -> frozenset[str]:
    """The actor's roles with those that the bureau has merged into them."""
    merged = (rules.also.get(role, frozenset()) for role in actor.roles)
    return actor.roles.union(*merged)


@dataclass(frozen=True, slots=True)
class _Asking:
    """One actor before one incident: what they are to it, worked out once for all moves."""

    moment: Moment
    words: frozenset[str]
    could_be: frozenset[str]
    own_work: bool

    @classmethod
    def of(cls, actor: Actor, facts: Facts, rules: Rules, now: datetime) -> _Asking:
        words = _words(actor, facts, stations(actor, rules))
        doer = is_doer(actor, facts, rules)
        return cls(Moment(facts, actor, rules, now), words, words | _could_be(actor), doer)


def _refuse(name: str, asking: _Asking) -> Trouble | None:
    move = MOVES.get(name)
    if move is None:
        return BadInput("move.unknown", "move")
    if not move.who & asking.could_be:
        return NotAllowed("move.not_yours", who=sorted(move.who))
    if asking.moment.facts.state not in move.from_states:
        return Conflict("move.not_now", state=asking.moment.facts.state.value)
    if not move.who & asking.words:
        return NotAllowed("move.not_yours", who=sorted(move.who))
    if asking.own_work and not move.by_doer:
        return NotAllowed("move.own_work")
    for guard in move.guards:
        refusal = GUARDS[guard](asking.moment)
        if refusal is not None:
            code, values = refusal
            kind = NotAllowed if code == "move.own_request" else Conflict
            return kind(code, None, **values)
    return None


def _words(actor: Actor, facts: Facts, roles: frozenset[str]) -> frozenset[str]:
    """What the actor is to this incident: stations, and assignee, reporter or field reporter by person."""
    words = set(roles)
    if "unit_head" in actor.roles and None not in (actor.unit, facts.unit):
        words -= {"unit_head"} if actor.unit != facts.unit else set()
    if actor.person is not None and actor.person in facts.assignees:
        words.add("assignee")
    if actor.person is not None and actor.person in facts.helpers:
        words.add("helper")
    if actor.reporter or (actor.person is not None and actor.person in facts.reporters):
        words.add("reporter")
        if actor.person is not None and (actor.posts or "collector" in roles):
            words.add("field_reporter")
    return frozenset(words)


def _could_be(actor: Actor) -> frozenset[str]:
    # Somebody with a post may have been the assignee a moment ago: such a person hears of the new state.
    return frozenset({"assignee", "helper", "field_reporter"}) if actor.posts else frozenset()


def _target(move: Move, facts: Facts) -> State:
    if move.back:
        return facts.before or State.REPORTED
    return move.to or facts.state


def _task_words(actor: Actor, holder: str | None, rules: Rules) -> frozenset[str]:
    roles = stations(actor, rules)
    return roles | {"holder"} if actor.person is not None and actor.person == holder else roles


def _task_fits(row: TaskMove, words: frozenset[str], state: TaskState) -> bool:
    return bool(words & row.who) and state in row.from_states


def _lacking(name: str, given: Given, rules: Rules, now: datetime) -> Trouble | None:
    needs = MOVES[name].needs
    missing = _first_missing(needs, given, rules)
    if missing is None and "until" in needs and given.until is not None:
        furthest = now + timedelta(days=rules.suspension_days)
        if given.until <= now:
            return BadInput("move.until_past", "until", until=given.until.isoformat())
        if given.until > furthest:
            return BadInput("move.until_too_far", "until", days=rules.suspension_days)
    return missing


def _first_missing(needs: tuple[str, ...], given: Given, rules: Rules) -> Trouble | None:
    for need in needs:
        if need.startswith("photo_"):
            stage = need.removeprefix("photo_")
            if rules.photo_needed and stage not in given.photos:
                return BadInput("move.photo_missing", "photos", stage=stage)
        elif need == "to_or_unit":
            if not given.to and not given.unit:
                return BadInput("move.to_missing", "to")
        elif need == "reason":
            if not (given.reason or "").strip():
                return BadInput("move.reason_missing", "note")
        elif not getattr(given, need):
            return BadInput(f"move.{need}_missing", need)
    return None
