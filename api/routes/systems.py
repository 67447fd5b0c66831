"""`/api/v1/crs`: systems of coordinates that a file may be written in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.deps import DbSession, Exporter
from api.routes.incidents import PROBLEMS
from grid.core.errors import Conflict
from grid.town import town_facts
from maps.crs_search import System, find_systems

router = APIRouter(prefix="/api/v1", tags=["exports"])


@router.get("/crs", responses=PROBLEMS)
def systems(
    session: DbSession, account: Exporter, q: Annotated[str, Query(max_length=100)] = ""
) -> list[System]:
    """Systems of coordinates by EPSG code or name, the town's own zone first: code, name, area."""
    return find_systems(q, plane_of(session))


def plane_of(session: Session) -> int | None:
    """The EPSG code of the town's plane, None where there is no town yet."""
    try:
        return town_facts(session).plane_epsg
    except Conflict:
        return None
