"""The administrator's pages: accounts and the record of changes, rules, people, imports, base maps."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response

from api.base_maps import DATUMS, kept_maps, origins
from api.deps import DbSession, Now, PageAccount, ServicesDep, require
from api.imports.kinds import KINDS as IMPORTS
from api.pages.rendering import page
from api.permissions import ROLES
from api.services import Services
from dispatch.catalogue_edits import KINDS
from dispatch.categories import POSTS, URGENCIES
from dispatch.chase_rules import TELLS
from dispatch.clocks import ClockKind
from dispatch.condition_edits import UNITS
from dispatch.contacts import KINDS as CONTACT_KINDS
from dispatch.notices import EVENT_KINDS
from dispatch.rule_edits import STAGES
from dispatch.rules_log import ADMINISTRATION, SUBJECTS, actors
from dispatch.worktime import Unit
from grid.loading.people import STAFF_POSTS
from grid.models import HAND_OVERS, HOLDINGS
from maps.frames import town_bounds

router = APIRouter(include_in_schema=False)


@router.get("/admin")
def administration(request: Request, session: DbSession, account: PageAccount) -> Response:
    """Accounts, deliveries that were given up, templates, who changed what; its script asks the JSON interface."""
    require(account, "administer")
    return page(
        request,
        "administration.html",
        account=account,
        messages=(
            *("admin.", "role.", "common.", "error.", "delivery.", "notice.", "log.", "rules."),
            *("people.", "imports.", "basemaps.", "post.", "datum."),
        ),
        roles=ROLES,
        subjects=(*ADMINISTRATION, *SUBJECTS),
        actors=actors(session),
    )


@router.get("/admin/people")
def staff_and_posts(
    request: Request, account: PageAccount, services: ServicesDep, now: Now
) -> Response:
    """Staff, the posts of every grid, units."""
    require(account, "administer")
    return page(
        request,
        "administration_people.html",
        account=account,
        messages=(
            "admin.",
            "people.",
            "post.",
            "role.",
            "common.",
            "error.",
            "time.",
            "task_status.",
            "leave.",
            "shifts.",
        ),
        today=_today(services, now),
        staff_posts=STAFF_POSTS,
        holdings=HOLDINGS,
        hand_overs=HAND_OVERS,
    )


@router.get("/admin/sending")
def sending(request: Request, account: PageAccount) -> Response:
    """By which ways people are reached, and which other systems are told of incidents."""
    require(account, "manage_sending")
    return page(
        request,
        "administration_sending.html",
        account=account,
        messages=("admin.", "sending.", "role.", "people.", "common.", "error."),
        roles=ROLES,
        kinds=tuple(CONTACT_KINDS),
        event_kinds=EVENT_KINDS,
    )


@router.get("/admin/imports")
def imports(request: Request, account: PageAccount, services: ServicesDep, now: Now) -> Response:
    """A file looked over and then taken in; what was imported before."""
    require(account, "administer")
    return page(
        request,
        "administration_imports.html",
        account=account,
        messages=("admin.", "imports.", "post.", "common.", "error.", "time."),
        today=_today(services, now),
        kinds=tuple(IMPORTS),
        hand_overs=HAND_OVERS,
        most_mb=services.settings.web.import_limit_mb,
    )


@router.get("/admin/basemaps")
def base_maps(
    request: Request, session: DbSession, account: PageAccount, services: ServicesDep
) -> Response:
    """Base maps with a tile of each to look at: the page may ask all of their hosts, hidden ones too."""
    require(account, "administer")
    request.state.csp_images = origins(kept_maps(session, services.settings.web))
    return page(
        request,
        "administration_basemaps.html",
        account=account,
        messages=("admin.", "basemaps.", "datum.", "common.", "error."),
        datums=DATUMS,
        bounds=town_bounds(session),
    )


@router.get("/admin/rules")
def rules(request: Request, account: PageAccount, services: ServicesDep, now: Now) -> Response:
    """Categories with conditions, limits of the stages, rules of chasing, the calendar, and who changed what."""
    require(account, "administer")
    return page(
        request,
        "administration_rules.html",
        account=account,
        messages=("admin.saved", "rules.", "unit.", "post.", "common.", "error.", "time."),
        today=_today(services, now),
        posts=POSTS,
        urgencies=URGENCIES,
        kinds=KINDS,
        stages=STAGES,
        clocks=[str(kind) for kind in ClockKind],
        tells=TELLS,
        units=[str(unit) for unit in Unit],
        limit_units=UNITS,
    )


def _today(services: Services, now: datetime) -> str:
    return now.astimezone(services.desk.zone).date().isoformat()
