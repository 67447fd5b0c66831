"""Headers that keep our pages to themselves: a strict Content-Security-Policy with a nonce per answer.

Plain ASGI (no BaseHTTPMiddleware), so that server-sent events pass through unbuffered.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SecurityHeaders:
    """Sets `request.state.csp_nonce` and the security headers of every answer.

    `image_sources` are the only foreign addresses a page may ask: the hosts of a configured base map.
    """

    def __init__(self, app: ASGIApp, image_sources: Sequence[str] = ()) -> None:
        self.app = app
        self.images = " ".join(("'self'", "data:", "blob:", *image_sources))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["csp_nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self.policy(nonce))
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault(
                    "Permissions-Policy", "geolocation=(self), camera=(self), microphone=(self)"
                )
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def policy(self, nonce: str) -> str:
        """The Content-Security-Policy of one answer."""
        return "; ".join(
            (
                "default-src 'self'",
                f"script-src 'self' 'nonce-{nonce}'",
                f"style-src 'self' 'nonce-{nonce}'",
                f"img-src {self.images}",
                "connect-src 'self'",
                "font-src 'self'",
                "media-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )
