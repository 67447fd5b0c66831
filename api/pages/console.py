"""The dispatcher's console and the page of one incident."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import DbSession, PageAccount, PageReach, require
from api.pages.rendering import map_of, page
from dispatch import reading
from dispatch.moves import MOVES, TASK_MOVES

router = APIRouter(include_in_schema=False)

QUEUES = (
    *("place_needed", "to_accept", "category_needed", "no_person", "no_grid"),
    *("to_dispatch", "returned", "not_accepted", "task_returned", "to_assign", "overdue"),
)
STATUSES = (
    *("reported", "verifying", "accepted", "filed", "dispatched", "in_disposal", "suspended"),
    *("disposed", "checking", "pending_close", "closed", "refused", "declined", "voided"),
    *("merged", "fixed_on_spot"),
)
SORTS = ("-reported_at", "due_at", "reported_at")
KEYS = (
    *(("/", "search"), ("n", "new"), ("j / k", "next"), ("Enter", "open")),
    *(("f", "filter"), ("m", "map"), ("Esc", "close"), ("?", "help")),
)
# What each move wants to be told, from the one table of the closed loop.
NEEDS: dict[str, tuple[str, ...]] = {
    **{name: move.needs for name, move in MOVES.items()},
    **{name: move.needs for name, move in TASK_MOVES.items()},
}
STORY_MESSAGES = (
    *(
        "incident.",
        "status.",
        "queue.",
        "task_status.",
        "task.",
        "move.",
        "post.",
        "side.",
        "match.",
    ),
    *(
        "datum.",
        "channel.",
        "flag.",
        "stage.",
        "time.",
        "grid.",
        "place.",
        "map.",
        "common.",
        "error.",
    ),
    *("role.",),
)


@router.get("/console")
def console(request: Request, account: PageAccount) -> Response:
    """List, map and panel of the same filtered incidents."""
    require(account, "console")
    return page(
        request,
        "console.html",
        account=account,
        map_pieces=map_of(request, clustered=True),
        messages=(*STORY_MESSAGES, "console.", "report.", "live.", "legend.", "filter."),
        queues=QUEUES,
        statuses=STATUSES,
        sorts=SORTS,
        keys=KEYS,
        needs=NEEDS,
    )


@router.get("/console/incidents/{number}")
def incident(
    number: str, request: Request, session: DbSession, account: PageAccount, scope: PageReach
) -> Response:
    """One incident on a page of its own; 404 when there is none."""
    require(account, "console")
    reading.one_incident(session, number, scope=scope)
    return page(
        request,
        "incident.html",
        account=account,
        map_pieces=map_of(request),
        messages=STORY_MESSAGES,
        number=number,
        needs=NEEDS,
    )
