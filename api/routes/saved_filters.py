"""Filters of the console under a name: kept, shared with one's role or the whole desk, taken away."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from api.auth import Account
from api.deps import DbSession, Now, allowed
from api.models import AccountRow, SavedFilter
from api.routes.incidents import PROBLEMS
from grid.core.errors import BadInput, NotFound

router = APIRouter(prefix="/api/v1/saved-filters", tags=["desk"])
AtDesk = Annotated[Account, Depends(allowed("console"), scope="function")]
# What a filter of the console may hold: the names in its address.
NAMES = frozenset(
    {"status", "queue", "category", "grid", "channel", "post", "assignee", "flag", "q", "sort"}
)
LONGEST_VALUE = 200


class FilterIn(BaseModel):
    """A filter to keep; the same name again takes the place of the one before."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=60)
    query: dict[str, str]
    shared: Literal["nobody", "role", "desk"] = "nobody"


@router.get("", responses=PROBLEMS)
def saved(session: DbSession, account: AtDesk) -> list[dict[str, Any]]:
    """My own filters, then those that others share with my role or the desk."""
    rows = session.execute(
        select(SavedFilter, AccountRow.name, AccountRow.role)
        .join(AccountRow, AccountRow.id == SavedFilter.account_id)
        .where(
            or_(
                SavedFilter.account_id == account.id,
                SavedFilter.shared == "desk",
                (SavedFilter.shared == "role") & (AccountRow.role == account.role),
            )
        )
        .order_by(SavedFilter.account_id != account.id, SavedFilter.name, SavedFilter.id)
    )
    return [
        {
            "id": row.id,
            "name": row.name,
            "query": row.query,
            "shared": row.shared,
            "own": row.account_id == account.id,
            "owner": owner,
        }
        for row, owner, _ in rows
    ]


@router.post("", status_code=201, responses=PROBLEMS)
def save(asked: FilterIn, session: DbSession, account: AtDesk, now: Now) -> dict[str, Any]:
    """Keeps a filter under a name. BadInput `filter.unknown`, `filter.too_long`."""
    for name, value in asked.query.items():
        if name not in NAMES:
            raise BadInput("filter.unknown", field="query", name=name)
        if len(value) > LONGEST_VALUE:
            raise BadInput("filter.too_long", field="query", name=name, most=LONGEST_VALUE)
    values = {"query": asked.query, "shared": asked.shared, "made_at": now}
    kept = session.execute(
        insert(SavedFilter)
        .values(account_id=account.id, name=asked.name, **values)
        .on_conflict_do_update(index_elements=["account_id", "name"], set_=values)
        .returning(SavedFilter.id)
    ).scalar_one()
    return {"id": kept, **asked.model_dump(), "own": True, "owner": account.name}


@router.delete("/{filter_id}", status_code=204, responses=PROBLEMS)
def forget(filter_id: int, session: DbSession, account: AtDesk) -> None:
    """Takes one's own filter away. NotFound `filter.not_yours` for any other."""
    gone = session.execute(
        delete(SavedFilter)
        .where(SavedFilter.id == filter_id, SavedFilter.account_id == account.id)
        .returning(SavedFilter.id)
    ).first()
    if gone is None:
        raise NotFound("filter.not_yours", field="filter_id")
