"""Troubles as answers: the one place that knows status codes, in `application/problem+json`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from api.deps import NotSignedIn, SignInNeeded, get_language
from api.i18n import translate
from api.pages.problems import problem_page, wants_page
from grid.core.errors import BadInput, Conflict, NotAllowed, NotFound, TooMany, Trouble, Unavailable

LOG = logging.getLogger("gridward")
STATUS: dict[type[Trouble], int] = {
    BadInput: 422,
    NotFound: 404,
    NotAllowed: 403,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
}


def problem(
    request: Request,
    status: int,
    code: str,
    field: str | None = None,
    values: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One answer shape for every failure: type, title, status, code, detail, field and the values."""
    language = get_language(request)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": translate(language, code, **(values or {})),
    }
    if field:
        body["field"] = field
    if wants_page(request):
        return problem_page(request, status, body["detail"], headers)
    extra = {k: v for k, v in (values or {}).items() if k not in body}
    if extra:
        body["values"] = extra
    return Response(
        orjson.dumps(body, default=str),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def add_error_answers(app: FastAPI) -> None:
    """Registers an answer for every kind of failure."""

    @app.exception_handler(Trouble)
    def trouble(request: Request, error: Trouble) -> Response:
        status = next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
        wait = error.values.get("seconds") if isinstance(error, TooMany) else None
        headers = {"Retry-After": str(wait)} if wait else None
        return problem(request, status, error.code, error.field, error.values, headers)

    @app.exception_handler(NotSignedIn)
    def not_signed_in(request: Request, error: NotSignedIn) -> Response:
        # Bearer first: a page's script must not make the browser open its own password box.
        return problem(request, 401, "auth.sign_in_needed", headers={"WWW-Authenticate": "Bearer"})

    @app.exception_handler(SignInNeeded)
    def sign_in_needed(request: Request, error: SignInNeeded) -> Response:
        return RedirectResponse(error.address, status_code=303)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
        name = ".".join(place) or "body"
        values = {"field": name, "problem": first["msg"]}
        return problem(request, 422, "request.invalid", name, values)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem(request, error.status_code, f"http.{error.status_code}", headers=headers)

    # What every request asks goes straight to the driver, so its own errors arrive beside SQLAlchemy's.
    @app.exception_handler(psycopg.DataError)
    @app.exception_handler(DataError)
    def unusable(request: Request, error: DataError | psycopg.DataError) -> Response:
        # A sign that PostgreSQL cannot hold (NUL) or a number beyond its range: the sender's, not ours.
        LOG.warning("unusable value at %s: %s", request.url.path, getattr(error, "orig", error))
        return problem(request, 422, "report.unreadable")

    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(OperationalError)
    def database_down(
        request: Request, error: OperationalError | psycopg.OperationalError
    ) -> Response:
        LOG.error("database does not answer: %s", getattr(error, "orig", error))
        return problem(request, 503, "database.unavailable", headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        LOG.exception("unexpected failure at %s", request.url.path, exc_info=error)
        return problem(request, 500, "server.failed")
