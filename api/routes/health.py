"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from api.deps import ServicesDep
from api.metrics import Metrics, worker_state

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(services: ServicesDep) -> dict[str, Any]:
    """The database answers too, 503 otherwise; and whether a worker lives: alive, silent (it hangs) or none.

    Without a worker reports are taken in all the same and notices wait; so that is no 503.
    """
    with services.sessions() as session:
        session.execute(text("select 1"))
        worker = worker_state(session, datetime.now(UTC))
    return {"status": "ok", "worker": worker}


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    known: Metrics = request.app.state.metrics
    return Response(known.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
