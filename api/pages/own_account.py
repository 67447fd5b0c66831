"""One's own account: a new password (where a one-time password leads), how one is told, tokens for programs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.deps import PageAccount
from api.pages.rendering import page

router = APIRouter(include_in_schema=False)
# What programs are for, and the permissions that each of these needs; none named: all that the account may.
PURPOSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("layers", ("read", "export")),
    ("read", ("read",)),
    ("report", ("read", "report")),
    ("all", ()),
)


@router.get("/account")
def own_account(request: Request, account: PageAccount) -> Response:
    """The form for a new password, how I want to be told, and my tokens for programs."""
    return page(
        request,
        "account.html",
        account=account,
        messages=("account.", "error.", "common."),
        purposes=[one for one in PURPOSES if all(map(account.may, one[1]))],
    )
