"""The field worker's phone page, its service worker and its manifest."""

from __future__ import annotations

import hashlib
import json
from functools import cache

from fastapi import APIRouter, Request, Response

from api.deps import DbSession, Lang, Now, PageAccount, require
from api.i18n import HTML_LANG, translate
from api.pages.console import STORY_MESSAGES
from api.pages.rendering import FOLDER, map_of, page, renew_session

router = APIRouter(include_in_schema=False)
STATIC = FOLDER / "static"
SHELL_FILES = (
    *("css/tokens.css", "css/app.css", "css/field.css", "icons.svg", "app-icon.svg"),
    *("vendor/leaflet/leaflet.js", "vendor/leaflet/leaflet.css"),
    *("js/page.js", "js/dom.js", "js/api.js", "js/messages.js", "js/times.js", "js/marks.js"),
    *("js/ground.js", "js/photos.js", "js/away.js"),
    *(
        f"js/field/{name}.js"
        for name in (
            *(
                "main",
                "store",
                "outbox",
                "clock",
                "tasks",
                "box",
                "sheet",
                "forms",
                "report",
                "mine",
            ),
            *("map", "navigate", "order", "push", "shift", "voice"),
        )
    ),
)


@router.get("/field")
def field(request: Request, account: PageAccount, session: DbSession, now: Now) -> Response:
    """My tasks on a phone; everything works without network."""
    require(account, "field")
    answer = page(
        request,
        "field.html",
        account=account,
        map_pieces=map_of(request),
        messages=(*STORY_MESSAGES, "field.", "login.", "common."),
    )
    renew_session(request, answer, session, now)
    return answer


@router.get("/field/sw.js")
def service_worker() -> Response:
    """The service worker: the list of the shell's files, and a version that changes with any of them."""
    return Response(
        _service_worker(),
        media_type="text/javascript",
        headers={"Service-Worker-Allowed": "/field", "Cache-Control": "no-cache"},
    )


@router.get("/field/manifest.webmanifest")
def manifest(language: Lang) -> Response:
    """What the phone needs to put the page on its home screen."""
    body = {
        "name": translate(language, "field.title"),
        "short_name": translate(language, "field.short"),
        "lang": HTML_LANG[language],
        "start_url": "/field",
        "scope": "/field",
        "display": "standalone",
        "orientation": "portrait",
        "theme_color": "#14549c",
        "background_color": "#eef1f5",
        "icons": [
            {"src": "/static/app-icon.svg", "sizes": "any", "type": "image/svg+xml"},
            {"src": "/static/app-icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "/static/app-icon-512.png", "sizes": "512x512", "type": "image/png"},
        ],
    }
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, media_type="application/manifest+json")


@cache
def _service_worker() -> str:
    script = (STATIC / "js" / "field" / "sw.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode())
    for name in SHELL_FILES:
        digest.update((STATIC / name).read_bytes())
    shell = json.dumps([f"/static/{name}" for name in SHELL_FILES])
    return f'const VERSION = "{digest.hexdigest()[:16]}";\nconst SHELL = {shell};\n{script}'
