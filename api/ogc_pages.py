"""The service's answers as plain pages for people: our own, without a script and without anything foreign."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/static/css/tokens.css"><link rel="stylesheet" href="/static/css/app.css"></head>
<body><main><h1>{title}</h1>
<ul>{links}</ul>
<pre>{body}</pre></main></body></html>
"""


class PlainPages:
    """Stands where the library expects its templates."""

    def TemplateResponse(  # noqa: N802 (the library's name)
        self, request: Request, name: str, context: dict[str, Any]
    ) -> HTMLResponse:
        """An answer as a page: its links, and the answer as it is."""
        response = context.get("response")
        title = str(context.get("template", {}).get("title") or name)
        return plain_page(title, response)


def plain_page(title: str, content: Any) -> HTMLResponse:
    """A page of a JSON answer."""
    body = orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2).decode()
    links = "".join(
        f'<li><a href="{escape(link["href"])}">{escape(link.get("title") or link["rel"])}</a></li>'
        for link in _links(content)
        if not link.get("templated") and "{" not in link["href"]
    )
    return HTMLResponse(_PAGE.format(title=escape(title), links=links, body=escape(body)))


def _links(content: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if isinstance(content, dict):
        found += content.get("links") or []
        for entry in content.get("collections") or []:
            found += [{**link, "title": f"{entry['id']}: {link['rel']}"} for link in entry["links"]]
    return found
