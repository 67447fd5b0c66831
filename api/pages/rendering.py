"""One way to make a page: a template, the reader's language, the account, and the sentences its scripts need."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from folium import Map
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.orm import Session

from api import auth
from api.auth import Account
from api.base_maps import BaseMaps, origins
from api.deps import LANGUAGE_COOKIE, SESSION_COOKIE, get_language, get_services
from api.i18n import HTML_LANG, LANGUAGES, messages_under, translate
from api.pages.security import nonce_of
from maps.page import BaseMap, MapPieces, Mark, render, town_map

FOLDER = Path(__file__).resolve().parent.parent
THEME_COOKIE = "gridward_theme"
THEMES = frozenset({"light", "dark"})
# Stands in a map that is made once for the nonce of each answer.
NONCE = "nonce-of-this-answer"
YEAR_SECONDS = 365 * 24 * 3600

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request,
    template: str,
    *,
    account: Account | None = None,
    map_pieces: MapPieces | None = None,
    messages: tuple[str, ...] = (),
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page. `messages` are the prefixes of the sentences handed to the page's scripts."""
    language = get_language(request)
    theme = request.cookies.get(THEME_COOKIE)

    def t(key: str, **filled: object) -> str:
        return translate(language, key, **filled)

    html = _templates.get_template(template).render(
        t=t,
        language=language,
        html_lang=HTML_LANG[language],
        other_language_url=_other_language_url(request, language),
        theme=theme if theme in THEMES else None,
        nonce=nonce_of(request),
        account=account,
        map=map_pieces,
        base_maps=_offered(request) if map_pieces else [],
        messages=messages_under(language, *messages) if messages else {},
        **values,
    )
    answer = HTMLResponse(html, status_code=status, headers=headers)
    answer.headers.setdefault("Cache-Control", "no-store" if account else "no-cache")
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=YEAR_SECONDS,
            samesite="lax",
            secure=get_services(request).settings.web.secure_cookies,
        )
    return answer


def standalone(request: Request, template: str, **values: Any) -> str:
    """A template alone, in the reader's language: for files that people keep."""
    language = get_language(request)

    def t(key: str, **filled: object) -> str:
        return translate(language, key, **filled)

    return _templates.get_template(template).render(
        t=t, language=language, html_lang=HTML_LANG[language], **values
    )


def map_of(request: Request, *, clustered: bool = False, mark: Mark | None = None) -> MapPieces:
    """The town's map for this page: the first base map, or a plain ground without one."""
    base = first_base_map(request)
    pieces = _town_map(base, clustered) if mark is None else _late(town_map(base=base, mark=mark))
    nonce = nonce_of(request)
    return MapPieces(*(text.replace(NONCE, nonce) for text in astuple(pieces)))


def first_base_map(request: Request) -> BaseMap | None:
    """The base map that a page shows at first; None without any."""
    known = base_maps_of(request).shown()
    return known[0].tiles(get_language(request)) if known else None


def base_maps_of(request: Request) -> BaseMaps:
    """The base maps of this process."""
    known: BaseMaps = request.app.state.base_maps
    return known


def _offered(request: Request) -> list[dict[str, Any]]:
    """The base maps for the page's script; only their hosts may be asked for images, by this one answer."""
    known = base_maps_of(request).shown()
    request.state.csp_images = origins(known)
    language = get_language(request)
    return [one.tiles(language).for_scripts() for one in known]


@cache
def _town_map(base: BaseMap | None, clustered: bool) -> MapPieces:
    return _late(town_map(base=base, clustered=clustered))


def _late(ground: Map) -> MapPieces:
    """The map after the words: its scripts run, in their order, when the page has been read (and may be painted)."""
    pieces = render(ground, NONCE)
    return MapPieces(
        header=pieces.header.replace("<script src=", "<script defer src="),
        html=pieces.html,
        script=pieces.script.replace("<script nonce=", '<script type="module" nonce='),
    )


def keep_session(request: Request, answer: Any, secret: str, hours: int) -> None:
    """Puts the session into its cookie: out of reach of scripts, not sent by other sites' forms."""
    answer.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=hours * 3600,
        httponly=True,
        samesite="lax",
        secure=get_services(request).settings.web.secure_cookies,
    )


def renew_session(request: Request, answer: Any, session: Session, now: datetime) -> None:
    """A phone stays signed in while it is used: its session lasts on for GRIDWARD_FIELD_SESSION_DAYS from now."""
    days = get_services(request).settings.web.field_session_days
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret or "authorization" in request.headers:
        return
    if auth.renew(session, secret, now, timedelta(days=days)):
        keep_session(request, answer, secret, days * 24)


def _other_language_url(request: Request, language: str) -> str:
    other = "en" if language == "zh" else "zh"
    return str(request.url.include_query_params(lang=other).replace(scheme="", netloc=""))
