"""What stands in a map's bubble. folium and Leaflet take the text as HTML, so every value is escaped here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def popup_html(title: str, rows: Iterable[tuple[str, str]] = (), note: str | None = None) -> str:
    """A bubble: a heading, rows of label and value, a last line. All are plain text and are escaped.

    Empty values are left out. The result is safe inside folium.Popup(..., parse_html=False), whose
    own template writes it between backquotes: those, `$` and `\\` are written as character references.
    """
    body = "".join(
        f"<dt>{_safe(label)}</dt><dd>{_safe(value)}</dd>" for label, value in rows if value
    )
    parts = [f"<h3>{_safe(title)}</h3>"]
    if body:
        parts.append(f"<dl>{body}</dl>")
    if note:
        parts.append(f"<p>{_safe(note)}</p>")
    return f'<div class="bubble">{"".join(parts)}</div>'


def _safe(text: str) -> str:
    shown = escape(text, quote=True)
    for sign in ("`", "$", "\\", "{", "}"):
        shown = shown.replace(sign, f"&#{ord(sign)};")
    return shown.replace("\n", "<br>")
