"""Headers that keep our pages to themselves: a strict Content-Security-Policy, with a nonce in the answer that asks for one.

Plain ASGI (no BaseHTTPMiddleware), so that server-sent events pass through unbuffered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of every answer, whatever it is.
_FIXED = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(self), camera=(self), microphone=(self)"),
)


class SecurityHeaders:
    """Sets the security headers of every answer, with the nonce that its page took by `nonce_of`.

    A page with a map may ask the hosts of its base maps for images, and no other address: it says so in
    `request.state.csp_images` (api/pages/rendering.py).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                said = {name for name, _ in given}
                # What an answer says of itself goes before.
                message["headers"] = given + [one for one in _of(state) if one[0] not in said]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def nonce_of(request: Request) -> str:
    """The nonce of one answer's scripts and styles; made when the page first asks, for most answers are no pages."""
    if not hasattr(request.state, "csp_nonce"):
        request.state.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = request.state.csp_nonce
    return nonce


def policy(nonce: str | None, images: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of one answer; `images` are origins beside our own."""
    if nonce is None and not images:
        return _PLAIN
    ours = "'self'" if nonce is None else f"'self' 'nonce-{nonce}'"
    return _policy(ours, images)


def _policy(ours: str, images: Iterable[str]) -> str:
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {ours}",
            f"style-src {ours}",
            " ".join(("img-src 'self' data: blob:", *images)),
            "connect-src 'self'",
            "font-src 'self'",
            "media-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


_PLAIN = _policy("'self'", ())
# Of every answer without a page: most of them.
_WITHOUT_PAGE = ((b"content-security-policy", _PLAIN.encode("latin-1")), *_FIXED)


def _of(state: dict[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    nonce, images = state.get("csp_nonce"), state.get("csp_images")
    if nonce is None and not images:
        return _WITHOUT_PAGE
    written = policy(nonce, tuple(images or ()))
    return ((b"content-security-policy", written.encode("latin-1")), *_FIXED)
