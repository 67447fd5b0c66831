"""The administrator's page: accounts, what could not be sent, residents' messages."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import PageAccount, require
from api.pages.rendering import page
from api.permissions import ROLES

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
