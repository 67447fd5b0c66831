"""`GET /api/v1/live`: what changes, as it changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from sse_starlette import EventSourceResponse

from api.deps import Reach, SignedIn, require
from api.live import LiveFeed

router = APIRouter(prefix="/api/v1", tags=["live"])


@router.get("/live")
async def live(
    request: Request,
    account: SignedIn,
    scope: Reach,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Server-sent events `incident` with number, status, queue, version, point and grid."""
    require(account, "console")
    feed: LiveFeed = request.app.state.live
    return EventSourceResponse(feed.events(last_event_id, scope), ping=20)
