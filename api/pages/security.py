"""Headers that keep our pages to themselves: a strict Content-Security-Policy with a nonce per answer.

Plain ASGI (no BaseHTTPMiddleware), so that server-sent events pass through unbuffered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SecurityHeaders:
    """Sets `request.state.csp_nonce` and the security headers of every answer.

    A page with a map may ask the hosts of its base maps for images, and no other address: it says so in
    `request.state.csp_images` (api/pages/rendering.py).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        state = scope.setdefault("state", {})
        state["csp_nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault(
                    "Content-Security-Policy", policy(nonce, state.get("csp_images", ()))
                )
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault(
                    "Permissions-Policy", "geolocation=(self), camera=(self), microphone=(self)"
                )
            await send(message)

        await self.app(scope, receive, send_with_headers)


def policy(nonce: str, images: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of one answer; `images` are origins beside our own."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
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
