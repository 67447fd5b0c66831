"""The dispatcher's console and the page of one incident."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from api.deps import (
    DbSession,
    Now,
    PageAccount,
    PageReach,
    get_language,
    get_services,
    reach,
    require,
)
from api.pages.console_rows import first_rows
from api.pages.rendering import map_of, page
from dispatch import overview, reading
from dispatch.moves import MOVES, TASK_MOVES
from dispatch.ready_replies import NOTED
from grid.models import Unit
from maps.frames import town_bounds

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
_SCRIPTS = Path(__file__).resolve().parent.parent / "static" / "js"
# Said in the page's head, so that the browser fetches them side by side instead of one after the other's imports.
MODULES = tuple(
    sorted(
        f"/static/js/{path.relative_to(_SCRIPTS).as_posix()}"
        for path in (
            *(_SCRIPTS / "console").glob("*.js"),
            *(_SCRIPTS / f"{name}.js" for name in (
                *("api", "dom", "ground", "marks", "messages", "page", "story"),
                *("street_tiles", "times", "told"),
            )),
        )
        if path.stem not in ("grids", "segments", "handover", "replies")
    )
)  # fmt: skip
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
    *("told.", "ready.", "category.", "rules.clock.", "rules.tell.", "merged."),
)


@router.get("/console")
def console(request: Request, session: DbSession, account: PageAccount, now: Now) -> Response:
    """List, map and panel of the same filtered incidents; the first rows come with the page."""
    require(account, "console")
    scope = reach(session, account, now)
    zone = get_services(request).settings.town.zone
    first = first_rows(session, request.query_params, scope, get_language(request), now, zone)
    return page(
        request,
        "console.html",
        account=account,
        first=first,
        numbers=overview.queue_numbers(session, now, scope),
        asked=request.query_params,
        bounds=town_bounds(session),
        modules=MODULES,
        may_edit_replies=account.may("edit_replies"),
        may_duty=account.may("see_duty"),
        map_pieces=map_of(request, clustered=True),
        messages=(
            *(*STORY_MESSAGES, "console.", "report.", "live.", "legend.", "filter."),
            *("saved.", "bulk.", "duty.", "caller.", "layers."),
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
def grids(request: Request, session: DbSession, account: PageAccount) -> Response:
    """Grids with their people and load; for those who may, changing them on the map."""
    require(account, "console")
    return page(
        request,
        "grids.html",
        account=account,
        bounds=town_bounds(session),
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
            "layers.",
            "duty.",
        ),
        may_edit=account.may("edit_grids"),
        may_duty=account.may("see_duty"),
    )


@router.get("/console/replies")
def replies(request: Request, session: DbSession, account: PageAccount) -> Response:
    """Ready-made replies for the notes of moves, kept by watch chiefs and administrators."""
    require(account, "edit_replies")
    _, rules = get_services(request).desk.read(session)
    name = "name_zh" if get_language(request) == "zh" else "name_en"
    return page(
        request,
        "replies.html",
        account=account,
        messages=("replies.", "move.", "common.", "error."),
        moves=sorted(NOTED),
        units=session.execute(select(Unit.id, Unit.name).order_by(Unit.name)).all(),
        categories=[{"code": c.code, "name": getattr(c, name)} for c in rules.categories.values()],
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
        bounds=town_bounds(session),
        map_pieces=map_of(request),
        messages=(*STORY_MESSAGES, "live."),
        number=number,
        needs=NEEDS,
    )
