"""`GET /api/v1/live`: what changes, as it changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse

from api.deps import Reach, SignedIn, require
from api.live import LiveFeed
from api.live_readers import Reader, key_of

router = APIRouter(prefix="/api/v1", tags=["live"])


@router.get("/live")
async def live(
    request: Request,
    account: SignedIn,
    scope: Reach,
    last_event_id: Annotated[str | None, Header()] = None,
    since: Annotated[str | None, Query(alias="last_event_id", max_length=40)] = None,
) -> EventSourceResponse:
    """Server-sent events `incident` with number, status, queue, version, point and grid.

    Goes on after `Last-Event-ID`, or after the parameter of that name for a browser that opens a new stream, which
    cannot send the header; else an event `hello` tells the id after which this stream began.
    """
    require(account, "console")
    feed: LiveFeed = request.app.state.live
    reader = Reader(account.id, key_of(request), account.token_scopes, scope)
    return EventSourceResponse(feed.events(last_event_id or since, reader), ping=20)
