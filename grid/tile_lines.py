"""The segments as web-map tiles draw them, kept ready in Web Mercator with street and grids.

Triggers note in `tile_pending`, within the transaction that makes a change, which segments must be drawn anew and
from when; `keep_tile_lines` draws them and notes in `tile_change` where. It is done by one at a time, so the numbers
there rise in the order in which changes become visible: a tile is as old as the highest number that touches it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_LOCK = 0x74696C65
# Beyond so many noted places, one that covers all of them takes their place.
_MOST_CHANGES = 20_000
_WORLD = "st_makeenvelope(-20037509, -20037509, 20037509, 20037509, 3857)"
_DRAWN = """
    insert into tile_line (segment_id, street, class, grid_left, grid_right, geom)
    select s.id, t.name, s.class, l.code, r.code, st_transform(s.line, 3857)
    from segment s
    left join street t on t.id = s.street_id
    left join grid_segment hl
        on hl.segment_id = s.id and hl.side = 'left' and hl.valid @> cast(:now as timestamptz)
    left join grid l on l.id = hl.grid_id
    left join grid_segment hr
        on hr.segment_id = s.id and hr.side = 'right' and hr.valid @> cast(:now as timestamptz)
    left join grid r on r.id = hr.grid_id
    where (s.gone_at is null or s.gone_at > :now)
"""


def keep_tile_lines(session: Session, now: datetime) -> int | None:
    """Draws anew what has changed up to a moment (now); how many segments were looked at, None for all.

    Waits for whoever is drawing already; the caller commits.
    """
    session.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    noted = session.scalars(
        text("delete from tile_pending where effective_at <= :now returning segment_id"),
        {"now": now},
    ).all()
    ids = sorted({one for one in noted if one is not None})
    if None in noted:
        session.execute(text("delete from tile_line"))
        session.execute(text(_DRAWN), {"now": now})
        _cover_all(session)
        return None
    if ids:
        values = {"now": now, "ids": ids}
        session.execute(
            text(
                "with gone as (delete from tile_line where segment_id = any(:ids) returning geom)"
                " insert into tile_change (box) select st_envelope(geom) from gone"
            ),
            values,
        )
        session.execute(
            text(
                f"with made as ({_DRAWN} and s.id = any(:ids) returning geom)"  # noqa: S608 (fixed words)
                " insert into tile_change (box) select st_envelope(geom) from made"
            ),
            values,
        )
        many = "select count(*) from (select from tile_change limit :most) c"
        if (session.scalar(text(many), {"most": _MOST_CHANGES}) or 0) >= _MOST_CHANGES:
            _cover_all(session)
    return len(ids)


def _cover_all(session: Session) -> None:
    session.execute(text("delete from tile_change"))
    session.execute(text(f"insert into tile_change (box) values ({_WORLD})"))  # noqa: S608
