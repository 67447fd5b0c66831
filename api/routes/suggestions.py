"""Categories suggested from the words of a report, by keywords and by what closed incidents taught."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import Account
from api.deps import DbSession, Now, ServicesDep, allowed
from api.routes.incidents import PROBLEMS
from dispatch.suggest_kept import suggestions as suggested

router = APIRouter(prefix="/api/v1", tags=["ground"])


@router.get("/categories/suggestions", responses=PROBLEMS)
def suggestions(
    session: DbSession,
    services: ServicesDep,
    now: Now,
    account: Annotated[Account, Depends(allowed("report"), scope="function")],
    q: Annotated[str, Query(max_length=4000)],
    limit: Annotated[int, Query(ge=1, le=10)] = 3,
) -> dict[str, Any]:
    """The likeliest categories, best first: certainty (0 to 1), who says so (keywords, learned, both), words found.

    Always a suggestion: nothing is decided by it. `model` is the number of the learned model in use, or null.
    """
    _, rules = services.desk.read(session)
    learned = services.suggestions.read(session)
    found = suggested(q, learned, [each.code for each in rules.open_categories(now)], limit)
    return {
        "items": [
            {
                "code": each.category,
                "name_zh": rules.categories[each.category].name_zh,
                "name_en": rules.categories[each.category].name_en,
                "certainty": each.certainty,
                "source": each.source,
                "words": list(each.words),
            }
            for each in found
        ],
        "model": learned.id if learned else None,
    }
