"""Effects of the move table by name: which facts a step changes, and to what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dispatch.facts import Actor, Facts, Given, Rules

# Given the facts before the step: the changed ones by name, because a copy of all of them for each effect is dear.
Changes = dict[str, Any]
Effect = Callable[[Facts, Actor, Given, Rules, datetime], Changes]


def _sent(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    unit = given.unit or given.to
    people = frozenset({given.to}) if given.to else frozenset[str]()
    return {
        "unit": unit,
        "assignees": people,
        "with_unit": not people,
        "helpers": frozenset(),
        "open_tasks": 0,
        "refused_tasks": 0,
    }


def _doer(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    doers = before.doers | ({actor.person} if actor.person else set())
    units = before.doer_units | ({actor.unit} if actor.unit else set())
    return {"doers": doers, "doer_units": units}


def _reassigned(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    left = before.assignees - {given.instead_of} if given.instead_of else frozenset()
    people = frozenset(left | {given.to or ""}) - {""}
    return {"assignees": people, "with_unit": False}


def _assigned(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    people = before.assignees | ({given.to} if given.to else set())
    return {"assignees": people, "with_unit": False}


def _task_added(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    added = before.helpers | ({given.to} if given.to else set())
    return {"helpers": added, "open_tasks": before.open_tasks + 1}


def _condition(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    return {"filing_condition": given.filing_condition or before.filing_condition}


def _rework(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
    return {"reworks": before.reworks + 1, "fed_back": False, "late": False}


def _withdrawn(**flags: bool) -> Effect:
    def effect(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
        return dict(
            assignees=frozenset(),
            helpers=frozenset(),
            with_unit=False,
            open_tasks=0,
            refused_tasks=0,
            extension_asked_by=None,
            suspension_asked_by=None,
            **flags,
        )

    return effect


def _set(**flags: object) -> Effect:
    def effect(before: Facts, actor: Actor, given: Given, rules: Rules, now: datetime) -> Changes:
        return flags

    return effect


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
    "fed_back": lambda before, actor, given, rules, now: {"fed_back": True, "late": before.overdue},
    "rework": _rework,
    "closed": lambda before, actor, given, rules, now: {"closed_at": now},
    "forced": _set(forced=True),
    "reopened": lambda before, actor, given, rules, now: {
        "reopened": before.reopened + 1,
        "fed_back": False,
        "forced": False,
        "late": False,
        "closed_at": None,
        "appeal": None,
        "solved_said": None,
        "assignees": frozenset(),
        "helpers": frozenset(),
    },
    "solved_said": lambda before, actor, given, rules, now: {"solved_said": given.rating or ""},
    "extension_asked": lambda before, actor, given, rules, now: {
        "extension_asked_by": actor.person or ""
    },
    "extension_settled": _set(extension_asked_by=None),
    "suspension_asked": lambda before, actor, given, rules, now: {
        "suspension_asked_by": actor.person or ""
    },
    "suspended": lambda before, actor, given, rules, now: {
        "before": before.state,
        "suspensions": before.suspensions + 1,
        "suspension_asked_by": None,
        "suspended_until": given.until,
    },
    "suspension_settled": _set(suspension_asked_by=None, suspended_until=None),
    "question": _set(question_open=True),
    "question_settled": _set(question_open=False),
    "supervised": _set(supervised=True),
    "supervision_lifted": _set(supervised=False, supervision_from=frozenset()),
    "placed": _set(has_place=True),
    "merged": lambda before, actor, given, rules, now: {
        "before": before.state,
        "merged_into": given.into,
    },
    "unmerged": _set(before=None, merged_into=None),
    "appealed": _set(appeal="asked"),
    "appeal_endorsed": _set(appeal="endorsed"),
    "appeal_granted": _set(appeal="granted"),
    "appeal_refused": _set(appeal="refused"),
}
