"""Base maps over HTTP: listed, added, changed, put in order, taken away; pages follow at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api import base_maps
from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.pages.rendering import base_maps_of
from api.routes.incidents import PROBLEMS
from dispatch.rules_log import write_down

router = APIRouter(prefix="/api/v1/admin/base-maps", tags=["base maps"])
Administrator = Annotated[Account, Depends(allowed("administer"), scope="function")]
Word = Annotated[str, Field(max_length=600)]


class BaseMapIn(BaseModel):
    """A base map: https pattern of its tiles with {z} {x} {y}, and {s} and {key} where it has them."""

    model_config = ConfigDict(extra="forbid")

    name_zh: Word | None = None
    name_en: Word | None = None
    url: Word | None = None
    subdomains: Word | None = None
    map_key: Word | None = None
    datum: Word | None = None
    attribution: Word | None = None
    max_zoom: int | None = None
    shown: bool | None = None


class OrderIn(BaseModel):
    """Base maps in their order; pages show the first of those that are shown."""

    model_config = ConfigDict(extra="forbid")

    ids: list[int] = Field(max_length=200)


@router.get("", responses=PROBLEMS)
def all_maps(
    session: DbSession, services: ServicesDep, account: Administrator
) -> list[dict[str, Any]]:
    """Every base map in order, hidden ones too; `id` null is the one of the settings."""
    return [one.plain() for one in base_maps.kept_maps(session, services.settings.web)]


@router.post("", status_code=201, responses=PROBLEMS)
def add(
    asked: BaseMapIn,
    request: Request,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> dict[str, int]:
    """A new base map, the last in order; the one of the settings is taken over before the first."""
    web = services.settings.web
    row = base_maps.add_map(session, web, asked.model_dump(exclude_unset=True))
    after = base_maps.logged(base_maps.facts_of(row))
    write_down(session, "base_map", row.name_zh, None, after, now, _who(account), now)
    session.commit()
    base_maps_of(request).forget()
    return {"id": row.id}


@router.patch("/{map_id}", status_code=204, responses=PROBLEMS)
def change(
    map_id: int,
    asked: BaseMapIn,
    request: Request,
    session: DbSession,
    account: Administrator,
    now: Now,
) -> None:
    """Changes a base map."""
    before = base_maps.change_map(session, map_id, asked.model_dump(exclude_unset=True))
    row = base_maps.find_map(session, map_id)
    told = base_maps.logged(before), base_maps.logged(base_maps.facts_of(row))
    write_down(session, "base_map", row.name_zh, *told, now, _who(account), now)
    session.commit()
    base_maps_of(request).forget()


@router.put("/order", status_code=204, responses=PROBLEMS)
def order(
    asked: OrderIn,
    request: Request,
    session: DbSession,
    services: ServicesDep,
    account: Administrator,
    now: Now,
) -> None:
    """Puts the base maps in an order."""
    web = services.settings.web

    def names() -> dict[str, Any]:
        return {"order": ", ".join(one.name_zh for one in base_maps.kept_maps(session, web))}

    before = names()
    base_maps.order_maps(session, asked.ids)
    write_down(session, "base_map", "", before, names(), now, _who(account), now)
    session.commit()
    base_maps_of(request).forget()


@router.delete("/{map_id}", status_code=204, responses=PROBLEMS)
def drop(
    map_id: int, request: Request, session: DbSession, account: Administrator, now: Now
) -> None:
    """Takes a base map away; without any left, the one of the settings is shown again."""
    before = base_maps.drop_map(session, map_id)
    told = base_maps.logged(before)
    write_down(session, "base_map", before["name_zh"], told, None, now, _who(account), now)
    session.commit()
    base_maps_of(request).forget()


def _who(account: Account) -> str:
    return f"account:{account.username}"
