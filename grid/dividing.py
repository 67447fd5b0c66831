"""The town's own division: its network read from the tables, divided, named, and put in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from grid.core.errors import BadInput, Conflict
from grid.division import Division, SegmentNetwork, divide, naming, weighted_lengths
from grid.division.naming import name_grids
from grid.loading.grids import GridName, both_sides, put_in_force

LENGTH_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class TownNetwork:
    """The segments in force as a network, with what names grids: streets, communities, grids now.

    in_force: grid id of each segment's left side now, -1 for none; in_force_right: of its right side.
    """

    network: SegmentNetwork
    street_names: dict[int, str]
    street_names_en: dict[int, str]
    communities: list[str | None]
    in_force: NDArray[np.int64]
    in_force_right: NDArray[np.int64]
    grids: dict[int, tuple[str, str, str | None]]


def read_network(
    session: Session,
    within: str | None = None,
    incident_counts: Mapping[int, int] | None = None,
    at: datetime | None = None,
    class_weights: Mapping[str, float] | None = None,
) -> TownNetwork:
    """Reads the network as divided at a moment (now); `within` "communities" keeps grids inside communities.

    The weight is length in metres; with `class_weights` weighted metres of side (`grid/division/weights.py`); with
    `incident_counts` by segment id the incidents plus a small share of the length. Raises BadInput
    `division.within_unknown`, `division.no_segments`; Conflict `cells.no_communities`.
    """
    if within not in (None, "communities"):
        raise BadInput("division.within_unknown", field="within", within=within)
    rows = session.execute(text(_NETWORK), {"at": at}).all()
    if not rows:
        raise BadInput("division.no_segments")
    length = np.array([r.length_m for r in rows], dtype=np.float64)
    weight = length
    if class_weights is not None:
        classes, forms = [r.class_ for r in rows], [r.form for r in rows]
        weight = weighted_lengths(length, classes, forms, class_weights)
    if incident_counts is not None:
        # Every metre counts a little, so that quiet streets are shared out evenly too.
        told = np.array([incident_counts.get(r.id, 0) for r in rows], dtype=np.float64)
        weight = told + length / length.sum() * max(told.sum(), 1.0) * LENGTH_SHARE
    whole = within == "communities"
    if whole and all(row.community_id < 0 for row in rows):
        # Else a division inside nothing would look as if it had been asked for.
        raise Conflict("cells.no_communities")
    network = SegmentNetwork(
        segment_ids=_whole(r.id for r in rows),
        from_node=_whole(r.from_crossing_id for r in rows),
        to_node=_whole(r.to_crossing_id for r in rows),
        weight=weight,
        length_m=length,
        street=_whole(r.street for r in rows),
        x_m=np.array([r.x_m for r in rows], dtype=np.float64),
        y_m=np.array([r.y_m for r in rows], dtype=np.float64),
        within=_whole(r.community_id for r in rows) if whole else None,
    )
    grids = {
        row.id: (row.code, row.name, row.name_en)
        for row in session.execute(
            text(
                "select id, code, name, name_en from grid"
                " where valid @> coalesce(cast(:at as timestamptz), statement_timestamp())"
            ),
            {"at": at},
        )
    }
    return TownNetwork(
        network=network,
        street_names={r.street: r.street_name for r in rows if r.street_name},
        street_names_en={r.street: r.street_name_en for r in rows if r.street_name_en},
        communities=[r.community for r in rows],
        in_force=_whole(-1 if r.grid_id is None else r.grid_id for r in rows),
        in_force_right=_whole(-1 if r.right_id is None else r.right_id for r in rows),
        grids=grids,
    )


_NETWORK = """
    select s.id, s.from_crossing_id, s.to_crossing_id, s.length_m, coalesce(s.street_id, -1) as street,
        t.name as street_name, t.names->>'en' as street_name_en,
        st_x(m.middle) as x_m, st_y(m.middle) as y_m,
        c.name as community, coalesce(c.id, -1) as community_id, h.grid_id, k.grid_id as right_id,
        s.class as class_, s.form
    from segment s
    left join street t on t.id = s.street_id
    cross join lateral (select st_lineinterpolatepoint(s.line_plane, 0.5) as middle) m
    left join lateral (
        select b.id, b.name from boundary b
        where b.level = 'community' and st_intersects(b.area, st_lineinterpolatepoint(s.line, 0.5))
        order by b.id limit 1
    ) c on true
    left join grid_segment h on h.segment_id = s.id and h.side = 'left'
        and h.valid @> coalesce(cast(:at as timestamptz), statement_timestamp())
    left join grid_segment k on k.segment_id = s.id and k.side = 'right'
        and k.valid @> coalesce(cast(:at as timestamptz), statement_timestamp())
    where s.gone_at is null order by s.id
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A division of the town with the names of its grids, not yet in force."""

    town: TownNetwork
    division: Division
    names: dict[int, GridName]

    def table(self) -> pd.DataFrame:
        """code, name, segments, length_m, weight (of what was balanced) of each grid."""
        network = self.town.network
        frame = pd.DataFrame(
            {
                "label": self.division.labels,
                "length_m": network.length_m,
                "weight": network.weight,
            }
        )
        figures = frame.groupby("label").agg(
            segments=("length_m", "size"), length_m=("length_m", "sum"), weight=("weight", "sum")
        )
        figures.insert(0, "name", [self.names[int(label)].name for label in figures.index])
        figures.insert(0, "code", [self.names[int(label)].code for label in figures.index])
        return figures.sort_values("code").reset_index(drop=True)


def propose(
    session: Session,
    grids: int,
    *,
    within: str | None = None,
    incident_counts: Mapping[int, int] | None = None,
    class_weights: Mapping[str, float] | None = None,
    keep: bool = False,
    ceiling: float | None = None,
    floor: float | None = None,
    at: datetime | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Proposal:
    """Divides the town's segments into `grids` grids; `at` is the moment whose division is kept (now).

    Raises what `read_network` and `divide` raise.
    """
    town = read_network(session, within, incident_counts, at, class_weights)
    division = divide(
        town.network,
        grids,
        ceiling=ceiling,
        floor=floor,
        in_force=town.in_force if keep else None,
        keep=keep,
        seed=seed,
        progress=progress,
    )
    return Proposal(town, division, _names(town, division, keep))


def apply(session: Session, proposal: Proposal, from_at: datetime) -> int:
    """Puts a proposal in force from a moment; how many sides of segments changed hands."""
    codes = {
        int(segment_id): proposal.names[int(label)].code
        for segment_id, label in zip(
            proposal.town.network.segment_ids, proposal.division.labels, strict=True
        )
    }
    return put_in_force(session, list(proposal.names.values()), both_sides(codes), from_at)


def own_language(town: TownNetwork) -> str:
    """The language a town's streets are named in: "zh" where most names hold Chinese characters, else "en"."""
    names = list(town.street_names.values())
    chinese = sum(any("\u4e00" <= sign <= "\u9fff" for sign in name) for name in names)
    return "zh" if 2 * chinese >= len(names) else "en"


def _names(town: TownNetwork, division: Division, keep: bool) -> dict[int, GridName]:
    """Names in the town's own words and in English; with `keep` a grid that stays keeps both."""
    own = name_grids(
        town.network,
        division.labels,
        town.street_names,
        town.communities,
        own_language(town),
        _kept(town, keep, 1),
    )
    english = name_grids(
        town.network,
        division.labels,
        {**town.street_names, **town.street_names_en},
        town.communities,
        "en",
        _kept(town, keep, 2),
    )
    in_english = {name.label: name.name for name in english}
    return {n.label: GridName(n.code, n.name, in_english.get(n.label)) for n in own}


def _kept(town: TownNetwork, keep: bool, column: int) -> dict[int, naming.GridName]:
    """Names of the grids in force, by id; the English one falls back to the other."""
    if not keep:
        return {}
    return {
        grid_id: naming.GridName(grid_id, facts[0], facts[column] or facts[1])
        for grid_id, facts in town.grids.items()
    }


def _whole(values: object) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)  # type: ignore[call-overload, no-any-return]
