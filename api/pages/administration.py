"""The administrator's pages: accounts, what could not be sent, residents' messages; the bureau's rules."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import Now, PageAccount, ServicesDep, require
from api.pages.rendering import page
from api.permissions import ROLES
from dispatch.catalogue_edits import KINDS
from dispatch.categories import POSTS, URGENCIES
from dispatch.chase_rules import TELLS
from dispatch.clocks import ClockKind
from dispatch.condition_edits import UNITS
from dispatch.rule_edits import STAGES
from dispatch.worktime import Unit

router = APIRouter(include_in_schema=False)


@router.get("/admin")
def administration(request: Request, account: PageAccount) -> Response:
    """Accounts, deliveries that were given up, templates; its script asks the JSON interface."""
    require(account, "administer")
    return page(
        request,
        "administration.html",
        account=account,
        messages=("admin.", "role.", "common.", "error.", "delivery.", "notice."),
        roles=ROLES,
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
        today=now.astimezone(services.desk.zone).date().isoformat(),
        posts=POSTS,
        urgencies=URGENCIES,
        kinds=KINDS,
        stages=STAGES,
        clocks=[str(kind) for kind in ClockKind],
        tells=TELLS,
        units=[str(unit) for unit in Unit],
        limit_units=UNITS,
    )
