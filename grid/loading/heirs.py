"""What a segment that goes leaves behind: its grids, its own posts and its door plates pass to its heirs.

The pieces of a split segment take over what it held. A segment made of several takes, for each side, the
grid that held most of its length, and a post of its own only where that post was held on most of it.
What was held before the change stays where it was.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.bulk import copy_rows


def inherit(
    session: Session, heirs: pd.DataFrame, old_ids: np.ndarray, new_ids: np.ndarray, now: datetime
) -> None:
    """Copies holdings to heirs from `now` on, those planned for later too; to be called before `retire`.

    heirs: columns old, new (positions in old_ids, new_ids), shared_m, turned (`grid.comparison`).
    """
    if heirs.empty:
        return
    session.execute(
        text(
            "create temp table heir (old_id bigint, new_id bigint, shared_m float, turned boolean)"
            " on commit drop"
        )
    )
    copy_rows(
        session,
        "heir",
        ("old_id", "new_id", "shared_m", "turned"),
        zip(
            old_ids[heirs["old"].to_numpy()].tolist(),
            new_ids[heirs["new"].to_numpy()].tolist(),
            heirs["shared_m"].tolist(),
            heirs["turned"].tolist(),
            strict=True,
        ),
    )
    for statement in (_GRIDS, _POSTS):
        session.execute(statement, {"now": now})
    session.execute(_PLATES)
    session.execute(text("drop table heir"))


def retire(session: Session, gone: list[int], now: datetime) -> None:
    """Marks segments as gone and ends what was held by them; their rows and past stay.

    What was planned to begin later never comes into force and is taken back. A door plate on a segment
    that left no heir keeps its street and point.
    """
    if not gone:
        return
    values = {"ids": gone, "now": now}
    session.execute(text("update segment set gone_at = :now where id = any(:ids)"), values)
    session.execute(
        text("update door_plate set segment_id = null, side = null where segment_id = any(:ids)"),
        values,
    )
    for table in ("grid_segment", "post_holding"):
        session.execute(
            text(
                f"delete from {table} where segment_id = any(:ids) and lower(valid) >= :now"  # noqa: S608 (two fixed names)
            ),
            values,
        )
        session.execute(
            text(
                f"update {table} set valid = tstzrange(lower(valid), :now)"  # noqa: S608 (two fixed names)
                " where segment_id = any(:ids) and valid @> cast(:now as timestamptz)"
            ),
            values,
        )


_GRIDS = text(
    """
    with held as (
        select r.new_id, r.old_id, r.shared_m, h.side as old_side, h.grid_id,
            case when r.turned then case h.side when 'left' then 'right' else 'left' end
                else h.side end as side
        from heir r join grid_segment h on h.segment_id = r.old_id
            and h.valid @> cast(:now as timestamptz)
    ), weighed as (
        select *, sum(shared_m) over (partition by new_id, side, grid_id) as by_grid from held
    ), chosen as (
        select distinct on (new_id, side) new_id, side, old_id, old_side from weighed
        order by new_id, side, by_grid desc, shared_m desc, old_id
    )
    insert into grid_segment (segment_id, side, grid_id, valid)
    select c.new_id, c.side, h.grid_id, tstzrange(greatest(lower(h.valid), :now), upper(h.valid))
    from chosen c join grid_segment h on h.segment_id = c.old_id and h.side = c.old_side
    where upper_inf(h.valid) or upper(h.valid) > :now
    """
)
_POSTS = text(
    """
    with whole as (
        select new_id, sum(shared_m) as all_m from heir group by new_id
    ), held as (
        select r.new_id, r.old_id, r.shared_m, p.post, p.staff_id
        from heir r join post_holding p on p.segment_id = r.old_id
            and p.valid @> cast(:now as timestamptz)
    ), weighed as (
        select *, sum(shared_m) over (partition by new_id, post, staff_id) as by_person,
            sum(shared_m) over (partition by new_id, post) as by_post
        from held
    ), chosen as (
        select distinct on (w.new_id, w.post) w.new_id, w.post, w.old_id
        from weighed w join whole using (new_id)
        where w.by_person >= whole.all_m - w.by_post
        order by w.new_id, w.post, w.by_person desc, w.shared_m desc, w.old_id
    )
    insert into post_holding (segment_id, post, staff_id, valid)
    select c.new_id, c.post, p.staff_id, tstzrange(greatest(lower(p.valid), :now), upper(p.valid))
    from chosen c join post_holding p on p.segment_id = c.old_id and p.post = c.post
    where upper_inf(p.valid) or upper(p.valid) > :now
    """
)
_PLATES = text(
    """
    with chosen as (
        select distinct on (d.id) d.id, r.new_id,
            case when r.turned then case d.side when 'left' then 'right' when 'right' then 'left' end
                else d.side end as side
        from door_plate d join heir r on r.old_id = d.segment_id join segment s on s.id = r.new_id
        order by d.id, st_distance(s.line, d.point), r.new_id
    )
    update door_plate d set segment_id = c.new_id, side = c.side from chosen c where c.id = d.id
    """
)
