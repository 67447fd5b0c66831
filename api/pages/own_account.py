"""One's own account: choosing a new password; where a one-time password leads."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import PageAccount
from api.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/account")
def own_account(request: Request, account: PageAccount) -> Response:
    """The form for a new password; its script sends it to `/api/v1/me/password`."""
    return page(request, "account.html", account=account, messages=("account.", "error."))
