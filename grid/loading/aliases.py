"""Other names of streets and places from a table: former, short and popular names (老东门, 二中)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from grid.models import Alias
from grid.sources.base import Refused
from grid.town import ground_changed, lock_ground

KINDS = ("street", "place")


@dataclass(slots=True)
class AliasReport:
    """How many names were taken (new ones), and the rows that were not."""

    taken: int = 0
    new: int = 0
    refused: list[Refused] = field(default_factory=list)


def load_aliases(session: Session, table: pd.DataFrame) -> AliasReport:
    """Loads rows (alias, name, kind): several aliases stand apart by `;`; without a kind the name tells it.

    Refuses rows: `alias.blank`, `alias.kind_unknown` (kind), `alias.name_unknown` (name) for a name that no street
    and no place of the town has, `alias.is_a_street` (alias) for an alias that is another street's own name.
    """
    report = AliasReport()
    lock_ground(session)
    streets = set(session.scalars(text("select name from street")))
    places = set(session.scalars(text("select name from place")))
    names = {"street": streets, "place": places}
    rows: list[dict[str, str]] = []
    for number, record in enumerate(table.to_dict("records"), start=1):
        alias, name, kind = (_word(record.get(column)) for column in ("alias", "name", "kind"))
        if not alias or not name:
            report.refused.append(Refused(number, "alias.blank"))
            continue
        if kind and kind not in KINDS:
            report.refused.append(Refused(number, "alias.kind_unknown", {"kind": kind}))
            continue
        kinds = [k for k in ((kind,) if kind else KINDS) if name in names[k]]
        if not kinds:
            report.refused.append(Refused(number, "alias.name_unknown", {"name": name}))
            continue
        for each in filter(None, (part.strip() for part in alias.split(";"))):
            if each in streets and each != name:
                report.refused.append(Refused(number, "alias.is_a_street", {"alias": each}))
                continue
            rows += [{"kind": k, "name": name, "alias": each} for k in kinds[:1]]
    report.taken = len(rows)
    if rows:
        written = session.execute(
            insert(Alias).values(rows).on_conflict_do_nothing().returning(Alias.id)
        ).all()
        report.new = len(written)
        if written:
            ground_changed(session)
    return report


def _word(value: object) -> str:
    return "" if value is None or pd.isna(value) else str(value).strip()  # type: ignore[call-overload]
