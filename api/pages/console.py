"""The dispatcher's console and the page of one incident."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import DbSession, PageAccount, PageReach, require
from api.pages.rendering import map_of, page
from dispatch import reading
from dispatch.moves import MOVES, TASK_MOVES

router = APIRouter(include_in_schema=False)

# Always shown, with their numbers; the others only while something waits in them.
ALWAYS = (
    *("place_needed", "to_file", "to_dispatch", "returned", "not_accepted", "overdue"),
    *("to_check", "to_close"),
)
QUEUES = (
    *ALWAYS,
    *("to_accept", "verifying", "to_assign"),
    *("task_returned", "to_feed_back", "to_send_check", "extension_asked", "suspension_asked"),
    *("question_open", "suspended"),
)
STATUSES = (
    *("reported", "verifying", "accepted", "filed", "dispatched", "in_disposal", "suspended"),
    *("disposed", "checking", "pending_close", "closed", "refused", "declined", "voided"),
    *("merged", "fixed_on_spot"),
)
SORTS = ("-reported_at", "due_at", "reported_at")
KEYS = (
    *(("/", "search"), ("n", "new"), ("j / k", "next"), ("Enter", "open"), ("x", "mark")),
    *(("b", "bulk"), ("d", "duty"), ("f", "filter"), ("m", "map"), ("Esc", "close"), ("?", "help")),
)
# What each move wants to be told, from the one table of the closed loop.
NEEDS: dict[str, tuple[str, ...]] = {
    **{name: move.needs for name, move in MOVES.items()},
    **{name: move.needs for name, move in TASK_MOVES.items()},
}
STORY_MESSAGES = (
    *(
        "incident.",
        "decided.",
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
    *("role.", "clock.", "unit.", "presence.", "near.", "reporter.", "suggest."),
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
        messages=(
            *(*STORY_MESSAGES, "console.", "report.", "live.", "legend.", "filter."),
            *("saved.", "bulk.", "duty.", "caller."),
        ),
        queues=QUEUES,
        always=ALWAYS,
        statuses=STATUSES,
        sorts=SORTS,
        keys=KEYS,
        needs=NEEDS,
    )


@router.get("/console/handover")
def handover(request: Request, account: PageAccount) -> Response:
    """The list at the change of shift: to read, to print, with a note for the next."""
    require(account, "console")
    return page(
        request,
        "handover.html",
        account=account,
        messages=(
            *("handover.", "queue.", "status.", "incident.", "time.", "common."),
            *("error.", "role.", "console."),
        ),
    )


@router.get("/console/grids")
def grids(request: Request, account: PageAccount) -> Response:
    """Grids with their people and load; for those who may, changing them on the map."""
    require(account, "console")
    return page(
        request,
        "grids.html",
        account=account,
        map_pieces=map_of(request),
        messages=(
            "grids.",
            "grid.",
            "post.",
            "map.",
            "common.",
            "error.",
            "side.",
            "console.",
            "time.",
        ),
        may_edit=account.may("edit_grids"),
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
