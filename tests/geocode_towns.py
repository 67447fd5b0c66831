"""Gazetteers of real places for the geocoding tests, read from the source files with readers of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pandas as pd

from grid.core.crs import plane_for, to_plane
from grid.geocode import GazetteerData

_MAIN = ["motorway", "trunk", "primary", "secondary", "tertiary"]
_SMALL = ["unclassified", "residential", "living_street", "service", "pedestrian", "road"]
STREET_CLASSES = frozenset([*_MAIN, *(f"{name}_link" for name in _MAIN), *_SMALL])


@dataclass
class Town:
    """Gazetteer columns and the plane they are in."""

    data: GazetteerData
    epsg: int
    extra: dict[str, Any] = field(default_factory=dict)


def cambridge(folder: Path) -> Town:
    """Centre lines with their left and right ranges, aliases and node numbers."""
    features = json.loads((folder / "us-cambridge/street-centerlines.geojson").read_text())[
        "features"
    ]
    epsg = plane_for(-71.11, 42.37)
    names = sorted({f["properties"]["Street"] for f in features if f["properties"]["Street"]})
    number = {name: i for i, name in enumerate(names)}
    aliases: dict[str, set[str]] = {name: set() for name in names}
    xy: list[Any] = []
    offset = [0]
    for f in features:
        coordinates = f["geometry"]["coordinates"]
        if f["geometry"]["type"] == "MultiLineString":
            coordinates = [point for part in coordinates for point in part]
        xy.extend(coordinates)
        offset.append(len(xy))
        alias = f["properties"]["Alias"]
        if alias and f["properties"]["Street"]:
            aliases[f["properties"]["Street"]].update(a.strip() for a in alias.split(","))
    lonlat = np.asarray(xy, dtype=np.float64)
    x, y = to_plane(lonlat[:, 0], lonlat[:, 1], epsg)

    def column(key: str) -> list[int]:
        return [int(f["properties"][key] or 0) or -1 for f in features]

    data = GazetteerData(
        street_id=list(range(len(names))),
        street_name=names,
        street_other_names=[tuple(sorted(aliases[n])) for n in names],
        segment_id=list(range(len(features))),
        segment_street=[number.get(f["properties"]["Street"], -1) for f in features],
        segment_xy=np.column_stack([x, y]),
        segment_offset=offset,
        from_node=column("FromNode"),
        to_node=column("ToNode"),
        left_from=column("L_From"),
        left_to=column("L_To"),
        right_from=column("R_From"),
        right_to=column("R_To"),
    )
    return Town(data, epsg)


def keelung(folder: Path) -> tuple[pd.DataFrame, int]:
    """Every building number with `street` (road, section, lane and alley), `number`, `text` and plane x, y."""
    frame = pd.read_csv(
        folder / "taiwan/keelung-addresses.csv.gz", dtype=str, keep_default_na=False
    )
    frame = frame.drop_duplicates("ADDRESS").reset_index(drop=True)
    epsg = plane_for(121.7, 25.1)
    x, y = to_plane(frame.LON.astype(float), frame.LAT.astype(float), epsg)
    frame["street"] = frame.ROAD + frame.SECTION + frame.LANE + frame.ALLEY + frame.SUB_ALLEY
    return frame.assign(x=x, y=y), epsg


def keelung_data(frame: pd.DataFrame, districts: pd.DataFrame) -> GazetteerData:
    """Plates of the rows given; a street for each district and street name, districts as communities."""
    owner = frame.DISTRICT + frame.street
    names = owner.drop_duplicates()
    ids = {key: i for i, key in enumerate(names)}
    groups = districts.groupby("DISTRICT")
    centre = groups[["x", "y"]].mean()
    reach = groups[["x", "y"]].agg(lambda c: (c.max() - c.min()) / 2).max(axis=1)
    return GazetteerData(
        street_id=list(range(len(names))),
        street_name=frame.loc[names.index, "street"].tolist(),
        plate_street=owner.map(ids).to_numpy(),
        plate_number=frame.NUMBER.tolist(),
        plate_x_m=frame.x.to_numpy(),
        plate_y_m=frame.y.to_numpy(),
        community_name=centre.index.tolist(),
        community_x_m=centre.x.to_numpy(),
        community_y_m=centre.y.to_numpy(),
        community_spread_m=reach.to_numpy(),
    )


class _Ways(osmium.SimpleHandler):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, tuple[str, ...], list[int], list[tuple[float, float]]]] = []

    def way(self, w: Any) -> None:
        if w.tags.get("highway") in STREET_CLASSES:
            others = tuple(
                w.tags[k] for k in ("name:en", "alt_name", "old_name", "ref") if k in w.tags
            )
            points = [(n.lon, n.lat) for n in w.nodes if n.location.valid()]
            nodes = [n.ref for n in w.nodes if n.location.valid()]
            if len(points) >= 2:
                self.rows.append((w.tags.get("name", ""), others, nodes, points))


def openstreetmap(path: Path) -> Town:
    """Streets of an OSM extract, cut wherever ways share a node."""
    handler = _Ways()
    handler.apply_file(str(path), locations=True)
    used: dict[int, int] = {}
    for _, _, nodes, _ in handler.rows:
        for i, node in enumerate(nodes):
            used[node] = used.get(node, 0) + (2 if i in (0, len(nodes) - 1) else 1)
    names: dict[str, int] = {}
    others: list[set[str]] = []
    street: list[int] = []
    xy: list[tuple[float, float]] = []
    offset, start, end = [0], [], []
    for name, other, nodes, points in handler.rows:
        if name and name not in names:
            names[name] = len(names)
            others.append(set())
        owner = names.get(name, -1)
        if owner >= 0:
            others[owner].update(other)
        begin = 0
        for i in range(1, len(nodes)):
            if used[nodes[i]] > 1 or i == len(nodes) - 1:
                xy.extend(points[begin : i + 1])
                offset.append(len(xy))
                street.append(owner)
                start.append(nodes[begin])
                end.append(nodes[i])
                begin = i
    lonlat = np.asarray(xy)
    epsg = plane_for(*lonlat.mean(axis=0))
    x, y = to_plane(lonlat[:, 0], lonlat[:, 1], epsg)
    data = GazetteerData(
        street_id=list(range(len(names))),
        street_name=list(names),
        street_other_names=[tuple(sorted(o)) for o in others],
        segment_id=list(range(len(street))),
        segment_street=street,
        segment_xy=np.column_stack([x, y]),
        segment_offset=offset,
        from_node=start,
        to_node=end,
    )
    return Town(data, epsg)
