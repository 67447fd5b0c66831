"""Effects of the move table by name: how a step changes the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from dispatch.facts import Actor, Facts, Given, Rules

Effect = Callable[[Facts, Facts, Actor, Given, Rules, datetime], Facts]


def _sent(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    unit = given.unit or given.to
    people = frozenset({given.to}) if given.to else frozenset[str]()
    return replace(
        after,
        unit=unit,
        assignees=people,
        with_unit=not people,
        helpers=frozenset(),
        open_tasks=0,
        refused_tasks=0,
    )


def _doer(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    doers = after.doers | ({actor.person} if actor.person else set())
    units = after.doer_units | ({actor.unit} if actor.unit else set())
    return replace(after, doers=doers, doer_units=units)


def _reassigned(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    left = before.assignees - {given.instead_of} if given.instead_of else frozenset()
    people = frozenset(left | {given.to or ""}) - {""}
    return replace(after, assignees=people, with_unit=False)


def _assigned(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    people = before.assignees | ({given.to} if given.to else set())
    return replace(after, assignees=people, with_unit=False)


def _task_added(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    added = before.helpers | ({given.to} if given.to else set())
    return replace(after, helpers=added, open_tasks=before.open_tasks + 1)


def _condition(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    return replace(after, filing_condition=given.filing_condition or before.filing_condition)


def _rework(
    after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
) -> Facts:
    return replace(after, reworks=before.reworks + 1, fed_back=False, late=False)


def _withdrawn(**flags: bool) -> Effect:
    def effect(
        after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
    ) -> Facts:
        cleared = replace(
            after,
            assignees=frozenset(),
            helpers=frozenset(),
            with_unit=False,
            open_tasks=0,
            refused_tasks=0,
            extension_asked_by=None,
            suspension_asked_by=None,
        )
        return _flagged(cleared, flags)

    return effect


def _set(**flags: object) -> Effect:
    def effect(
        after: Facts, before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime
    ) -> Facts:
        return _flagged(after, flags)

    return effect


def _flagged(facts: Facts, flags: Mapping[str, object]) -> Facts:
    return replace(facts, **flags)  # type: ignore[arg-type]  # names are checked by the table's test


EFFECTS: dict[str, Effect] = {
    "verified": _set(verified=True),
    "condition": _condition,
    "sent": _sent,
    "decided": _set(returned=False, not_accepted=False),
    "returned": _withdrawn(returned=True),
    "not_accepted": _withdrawn(not_accepted=True),
    "unrouted": _withdrawn(),
    "unassigned": _set(assignees=frozenset()),
    "assigned": _assigned,
    "reassigned": _reassigned,
    "task_added": _task_added,
    "doer": _doer,
    "submitted": _set(fed_back=False),
    "fed_back": lambda after, before, actor, given, rules, now: replace(
        after, fed_back=True, late=before.overdue
    ),
    "rework": _rework,
    "closed": lambda after, before, actor, given, rules, now: replace(after, closed_at=now),
    "forced": _set(forced=True),
    "reopened": lambda after, before, actor, given, rules, now: replace(
        after,
        reopened=before.reopened + 1,
        fed_back=False,
        forced=False,
        late=False,
        closed_at=None,
        appeal=None,
        solved_said=None,
        assignees=frozenset(),
        helpers=frozenset(),
    ),
    "solved_said": lambda after, before, actor, given, rules, now: replace(
        after, solved_said=given.rating or ""
    ),
    "extension_asked": lambda after, before, actor, given, rules, now: replace(
        after, extension_asked_by=actor.person or ""
    ),
    "extension_settled": _set(extension_asked_by=None),
    "suspension_asked": lambda after, before, actor, given, rules, now: replace(
        after, suspension_asked_by=actor.person or ""
    ),
    "suspended": lambda after, before, actor, given, rules, now: replace(
        after,
        before=before.state,
        suspensions=before.suspensions + 1,
        suspension_asked_by=None,
        suspended_until=given.until,
    ),
    "suspension_settled": _set(suspension_asked_by=None, suspended_until=None),
    "question": _set(question_open=True),
    "question_settled": _set(question_open=False),
    "supervised": _set(supervised=True),
    "supervision_lifted": _set(supervised=False, supervision_from=frozenset()),
    "placed": _set(has_place=True),
    "merged": lambda after, before, actor, given, rules, now: replace(
        after, before=before.state, merged_into=given.into
    ),
    "unmerged": _set(before=None, merged_into=None),
    "appealed": _set(appeal="asked"),
    "appeal_endorsed": _set(appeal="endorsed"),
    "appeal_granted": _set(appeal="granted"),
    "appeal_refused": _set(appeal="refused"),
}
