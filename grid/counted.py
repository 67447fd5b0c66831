"""What a change did to tables, counted by rows: new, changed, ended. For a look before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# What tells a row that is over, by table: a row that is taken away is over too.
OVER = {
    "segment": "gone_at is not null",
    "grid": "not upper_inf(valid)",
    "grid_segment": "not upper_inf(valid)",
    "post_holding": "not upper_inf(valid)",
    "staff": "left_at is not null",
    "category": "ended_at is not null",
    "filing_condition": "not upper_inf(valid)",
    "stage_limit": "not upper_inf(valid)",
    "chase_rule": "not upper_inf(valid)",
}
# Tables whose rows are known by something else than their id.
KEYS = {
    "cell": "code",
    "category": "code",
    "calendar_day": "day",
    "calendar_year": "year",
    "boundary": "level || name",
}
TABLES = frozenset(
    {*OVER, *KEYS} | {"street", "door_plate", "place", "alias", "unit", "shift", "absence"}
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one table that are new, changed and over."""

    table: str
    new: int
    changed: int
    ended: int


def remember(session: Session, tables: Sequence[str]) -> None:
    """Notes how tables stand, until the transaction ends; ask `differences` before that."""
    for table in _known(tables):
        session.execute(text(f"create temp table was_{table} on commit drop as {_stands(table)}"))


def differences(session: Session, tables: Sequence[str]) -> list[Difference]:
    """What has happened to tables since `remember`."""
    session.flush()
    found = []
    for table in _known(tables):
        row = session.execute(
            text(
                "select count(*) filter (where w.key is null) as new,"  # noqa: S608 (one of TABLES)
                " count(*) filter (where w.key is not null and n.key is not null"
                "  and n.hash <> w.hash and not (n.over and not w.over)) as changed,"
                " count(*) filter (where w.key is not null and not w.over"
                "  and (n.key is null or n.over)) as ended"
                f" from ({_stands(table)}) n full join was_{table} w on w.key = n.key"
            )
        ).one()
        found.append(Difference(table, row.new, row.changed, row.ended))
    return found


def _stands(table: str) -> str:
    key, over = KEYS.get(table, "id"), OVER.get(table, "false")
    # A cell or alias that was written anew with the same contents is the same.
    whole = "(to_jsonb(t) - 'id')" if table in KEYS else "t"
    return (
        f"select cast({key} as text) as key, {over} as over,"  # noqa: S608 (our own names)
        f" hashtextextended(cast({whole} as text), 0) as hash from {table} t"
    )


def _known(tables: Sequence[str]) -> list[str]:
    unknown = set(tables) - TABLES
    if unknown:
        raise ValueError(f"no tables to count: {sorted(unknown)}")
    return list(tables)
