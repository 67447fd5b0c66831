"""HTML pages: the entrance, the console, the phone page and the residents' pages."""

from __future__ import annotations

from api.pages import console, entrance, field, public

routers = (entrance.router, console.router, field.router, public.router)

__all__ = ["routers"]
