"""HTML pages: the entrance, the console, the phone page and the residents' pages."""

from __future__ import annotations

from api.pages import (
    administration,
    console,
    elsewhere,
    entrance,
    evaluation,
    exports,
    field,
    maps,
    own_account,
    public,
    track,
)

routers = (
    administration.router,
    entrance.router,
    elsewhere.router,
    own_account.router,
    console.router,
    field.router,
    public.router,
    track.router,
    maps.router,
    evaluation.router,
    exports.router,
)

__all__ = ["routers"]
