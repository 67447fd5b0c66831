"""Who may do what: the one table, checked on the server for every route."""

from __future__ import annotations

from dispatch.scope import Reach

POST_ROLES = frozenset({"officer", "cleaner", "gardener", "maintainer"})
DESK_ROLES = frozenset({"operator", "watch_chief", "dispatcher", "administrator"})
READING_ROLES = frozenset({"unit_head", "leader", "evaluator", "analyst"})
ROLES = (
    *("administrator", "operator", "watch_chief", "dispatcher", "collector"),
    *("officer", "cleaner", "gardener", "maintainer"),
    *("unit_head", "leader", "evaluator", "analyst"),
)

# How far each role sees among the incidents (dispatch/scope.py). Collectors check results all over the town.
REACH: dict[str, Reach] = {
    **dict.fromkeys(DESK_ROLES | {"collector", "evaluator", "analyst"}, "all"),
    **dict.fromkeys(POST_ROLES, "person"),
    "unit_head": "unit",
    "leader": "line",
}

PERMISSIONS: dict[str, frozenset[str]] = {
    "read": frozenset(ROLES),
    "report": frozenset(ROLES),
    "fix_place": DESK_ROLES,
    "edit_grids": frozenset({"administrator", "watch_chief", "dispatcher", "analyst"}),
    "move": DESK_ROLES | POST_ROLES | {"collector", "leader", "unit_head", "evaluator"},
    "see_reporter": DESK_ROLES,
    # What could not be sent, and sending it again.
    "see_deliveries": DESK_ROLES,
    # Contact channels, other systems, what residents are told.
    "manage_sending": frozenset({"administrator"}),
    # Ready-made texts for the notes of moves.
    "edit_replies": frozenset({"administrator", "watch_chief"}),
    "see_people": DESK_ROLES | READING_ROLES | POST_ROLES | {"collector"},
    "export": DESK_ROLES | READING_ROLES,
    "console": DESK_ROLES | READING_ROLES,
    # The indicators of whatever the role sees, and the cases behind them.
    "evaluate": DESK_ROLES | READING_ROLES,
    "administer": frozenset({"administrator"}),
    "field": POST_ROLES | {"collector"},
    # Who is on a shift, and where they were last.
    "see_duty": DESK_ROLES | {"unit_head", "leader"},
    # How far from the incident a step was made; where, only with `see_duty`.
    "see_step_distance": DESK_ROLES | {"unit_head", "leader", "collector"},
}


def may(role: str, permission: str) -> bool:
    """Whether a role has a permission; an unknown permission is a mistake of ours."""
    return role in PERMISSIONS[permission]
