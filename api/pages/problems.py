"""Failures as pages, for readers who asked for a page."""

from __future__ import annotations

from fastapi import Request, Response

from api.i18n import has
from api.pages.rendering import page

PROGRAM_PATHS = ("/api/", "/ogc", "/open311", "/exports", "/static/", "/healthz", "/readyz")


def wants_page(request: Request) -> bool:
    """Whether the one who asked is a person with a browser and not a program."""
    if request.url.path.startswith(PROGRAM_PATHS):
        return False
    return "text/html" in request.headers.get("accept", "")


def problem_page(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """A page that says what is wrong and where to go from here.

    It stands on its own feet: no database, no services, so that it works when those do not.
    """

    key = f"error.title_{status}"
    return page(
        request,
        "error.html",
        status=status,
        headers=headers,
        code=status,
        title_key=key if has(key) else "error.title_500",
        detail=detail,
    )
