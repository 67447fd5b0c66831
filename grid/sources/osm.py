"""OpenStreetMap files (.osm, .osm.pbf, also .gz/.bz2): streets with node ids, door plates, places, boundaries.

Streets kept: ways whose `highway` is a key of `fields.OSM_CLASSES` or such a key with `_link` (form
"ramp"), that is motorway, trunk, primary, secondary, tertiary, unclassified, residential,
living_street, road, service, busway, pedestrian, footway, path, steps, cycleway, bridleway, track.
Left out: ways with area=yes (squares, not lines) or indoor=yes; pavements and crosswalks mapped beside
their street (`osm_tags.PAVEMENTS`: footway, path or cycleway = sidewalk, crossing, traffic_island,
access_aisle, link), for which the street itself answers; and every other highway value (corridor,
platform, construction, proposed, elevator …). Unnamed streets are kept. `OsmTown.counts` tells how many
ways of each value were kept and left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import pandas as pd
import shapely

from grid.core.crs import WGS84
from grid.core.errors import BadInput, NotFound
from grid.sources.base import RANGE_COLUMNS, STREET_COLUMNS, Progress, Refused
from grid.sources.carriageways import mark_dual
from grid.sources.fields import OSM_CLASSES
from grid.sources.osm_places import kind_of
from grid.sources.osm_plates import Plate, between_ends, plates_of
from grid.sources.osm_tags import (
    ADMIN_LEVELS,
    Tags,
    belongs_elsewhere,
    boundary_level,
    form_of,
    is_boundary,
    level_of,
    name_of,
    names_of,
    oneway_of,
)

_EVERY = 20_000


@dataclass(frozen=True, slots=True)
class OsmTown:
    """What an OSM file holds, as ground frames in EPSG:4326.

    streets (STREET_COLUMNS), door_plates (street, house_number, community, geometry), places (name,
    names, kind, address, geometry), boundaries (name, names, level, code, geometry). refused: rows
    left out or, with kept=True, taken in part. counts: "streets/<highway>" kept and
    "left_out/<highway>" left out, "door_plates", "places", "boundaries".
    """

    streets: gpd.GeoDataFrame
    door_plates: gpd.GeoDataFrame
    places: gpd.GeoDataFrame
    boundaries: gpd.GeoDataFrame
    refused: list[Refused]
    counts: dict[str, int]


def read_osm(
    path: str | Path,
    progress: Progress | None = None,
    admin_levels: dict[int, str] | None = None,
) -> OsmTown:
    """Read an OSM file once for its relations and once for everything else.

    Raises NotFound `import.file_missing`, BadInput `import.unreadable` (path, why). Reported rows:
    `import.osm.way_clipped` (missing; kept: the runs of nodes that are in the file are used),
    `import.osm.way_empty`, `import.osm.plate_without_street`, `import.osm.area_broken`.
    """
    path = Path(path)
    if not path.exists():
        raise NotFound("import.file_missing", field="file", path=str(path))
    gathered = _Gathered(admin_levels or ADMIN_LEVELS)
    try:
        wanted = osmium.filter.KeyFilter("boundary", "addr:housenumber", *_PLACE_KEYS)
        reader = osmium.FileProcessor(str(path)).with_areas(wanted)
        reader.with_filter(osmium.filter.EmptyTagFilter())
        for number, thing in enumerate(reader):
            gathered.take(thing)
            if progress is not None and number % _EVERY == 0:
                progress("objects", number)
    except (RuntimeError, osmium.InvalidLocationError) as error:
        raise BadInput("import.unreadable", field="file", path=path.name, why=str(error)) from error
    return gathered.town()


_PLACE_KEYS = (
    "amenity",
    "shop",
    "leisure",
    "tourism",
    "office",
    "public_transport",
    "railway",
    "historic",
    "building",
    "landuse",
    "place",
    "man_made",
    "natural",
    "healthcare",
    "highway",
)


class _Gathered:
    """Collects the four frames from one pass over the objects of a file."""

    def __init__(self, admin_levels: dict[int, str]) -> None:
        self.admin_levels = admin_levels
        self.streets: list[dict[str, Any]] = []
        self.plates: list[Plate] = []
        self.numbered: dict[int, Tags] = {}
        self.places: list[dict[str, Any]] = []
        self.boundaries: list[dict[str, Any]] = []
        self.refused: list[Refused] = []
        self.counts: Counter[str] = Counter()
        self.areas_wanted: dict[int, str] = {}
        self.areas_seen: set[int] = set()
        self.ways_as_areas: set[int] = set()

    def take(self, thing: Any) -> None:
        """One object of the file: node, way, relation or assembled area."""
        if not thing.tags:
            return
        tags = {tag.k: tag.v for tag in thing.tags}
        if thing.is_node():
            self._node(thing, tags)
        elif thing.is_way():
            self._way(thing, tags)
        elif thing.is_relation():
            if is_boundary(tags) and boundary_level(tags, self.admin_levels):
                self.areas_wanted[thing.id] = tags.get("name", "")
        else:
            self._area(thing, tags)

    def _node(self, node: Any, tags: Tags) -> None:
        if not node.location.valid():
            return
        at = (node.location.lon, node.location.lat)
        key = f"node/{node.id}"
        if "addr:housenumber" in tags:
            self.numbered[node.id] = tags
            self._plate(key, tags, at)
        self._place(key, tags, shapely.Point(at))

    def _way(self, way: Any, tags: Tags) -> None:
        if "highway" in tags:
            self._street(way, tags)
        if "addr:interpolation" in tags:
            numbered = [n.ref for n in way.nodes if n.ref in self.numbered]
            ends = [(self.numbered[ref], ref) for ref in numbered]
            run = [(n.ref, n.lon, n.lat) for n in way.nodes if n.location.valid()]
            self.plates += between_ends(tags, ends, run)
        open_line = not way.is_closed()
        if open_line and (
            "addr:housenumber" in tags or "man_made" in tags or "bridge:name" in tags
        ):
            line = [(n.lon, n.lat) for n in way.nodes if n.location.valid()]
            if len(line) > 1:
                middle = shapely.line_interpolate_point(
                    shapely.LineString(line), 0.5, normalized=True
                )
                self._plate(f"way/{way.id}", tags, (middle.x, middle.y))
                if "bridge:name" in tags:
                    tags = {"name": tags["bridge:name"], "man_made": "bridge"}
                self._place(f"way/{way.id}", tags, middle)

    def _street(self, way: Any, tags: Tags) -> None:
        highway = tags["highway"]
        base = highway.removesuffix("_link")
        if base not in OSM_CLASSES or belongs_elsewhere(tags):
            self.counts[f"left_out/{highway}"] += 1
            return
        nodes = [(n.ref, n.lon, n.lat) if n.location.valid() else None for n in way.nodes]
        runs = _runs(nodes)
        missing = sum(node is None for node in nodes)
        if not runs:
            self.refused.append(Refused(f"way/{way.id}", "import.osm.way_empty"))
            return
        if missing:
            clipped: dict[str, object] = {"missing": missing, "nodes": len(nodes)}
            self.refused.append(Refused(f"way/{way.id}", "import.osm.way_clipped", clipped, True))
        self.counts[f"streets/{highway}"] += 1
        common = {
            "name": name_of(tags),
            "names": names_of(tags),
            "class_": OSM_CLASSES[base],
            "oneway": oneway_of(tags),
            "level": level_of(tags),
            "form": form_of(tags),
            **dict.fromkeys(RANGE_COLUMNS),
        }
        for number, run in enumerate(runs):
            self.streets.append(
                {
                    "source_key": f"osm:way/{way.id}" + (f".{number}" if number else ""),
                    **common,
                    "node_ids": [ref for ref, _, _ in run],
                    "geometry": shapely.LineString([(lon, lat) for _, lon, lat in run]),
                }
            )

    def _area(self, area: Any, tags: Tags) -> None:
        kind = "way" if area.from_way() else "relation"
        key = f"{kind}/{area.orig_id()}"
        if kind == "relation":
            self.areas_seen.add(area.orig_id())
        if "highway" in tags and tags.get("area") != "yes":
            return
        shape = _shape(area)
        if shape is None:
            self.refused.append(Refused(key, "import.osm.area_broken", {"name": tags.get("name")}))
            return
        if "addr:housenumber" in tags:
            inner = shape.point_on_surface()
            self._plate(key, tags, (inner.x, inner.y))
        level = boundary_level(tags, self.admin_levels) if is_boundary(tags) else None
        if level and name_of(tags):
            code = tags.get("ref") or tags.get("official_code") or tags.get("ref:code")
            row = {"name": name_of(tags), "names": names_of(tags), "level": level, "code": code}
            self.boundaries.append({**row, "geometry": shape})
        else:
            largest = max(shapely.get_parts(shape), key=shapely.area)
            self._place(key, tags, largest)

    def _plate(self, key: str, tags: Tags, at: tuple[float, float]) -> None:
        if "addr:housenumber" not in tags:
            return
        plates = plates_of(tags, at)
        if not plates:
            number: dict[str, object] = {"house_number": tags["addr:housenumber"]}
            self.refused.append(Refused(key, "import.osm.plate_without_street", number))
        self.plates += plates

    def _place(self, key: str, tags: Tags, geometry: Any) -> None:
        kind, name = kind_of(tags), name_of(tags)
        if kind is None or name is None:
            return
        parts = [tags.get("addr:street"), tags.get("addr:housenumber")]
        address = tags.get("addr:full") or " ".join(part for part in parts if part) or None
        row = {"name": name, "names": names_of(tags), "kind": kind, "address": address}
        self.places.append({**row, "geometry": geometry})

    def town(self) -> OsmTown:
        """The frames; boundary relations that gave no area are reported as broken."""
        for relation in sorted(self.areas_wanted.keys() - self.areas_seen):
            name: dict[str, object] = {"name": self.areas_wanted[relation]}
            self.refused.append(Refused(f"relation/{relation}", "import.osm.area_broken", name))
        streets = _frame(self.streets, STREET_COLUMNS)
        for column in RANGE_COLUMNS:
            streets[column] = streets[column].astype("Int64")
        plates = [
            {"street": p.street, "house_number": p.house_number, "community": p.community,
             "geometry": shapely.Point(p.lon, p.lat)}
            for p in self.plates
        ]  # fmt: skip
        plate_frame = _frame(plates, ("street", "house_number", "community", "geometry"))
        plate_frame = plate_frame.drop_duplicates(ignore_index=True)
        places = _frame(self.places, ("name", "names", "kind", "address", "geometry"))
        boundaries = _frame(self.boundaries, ("name", "names", "level", "code", "geometry"))
        self.counts |= Counter(
            door_plates=len(plate_frame), places=len(places), boundaries=len(boundaries)
        )
        return OsmTown(
            mark_dual(streets), plate_frame, places, boundaries, self.refused, dict(self.counts)
        )


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> gpd.GeoDataFrame:
    table = {
        column: pd.Series([row[column] for row in rows], dtype="object")
        for column in columns
        if column not in ("geometry", "level")
    }
    if "level" in columns:
        table["level"] = pd.Series([row["level"] for row in rows])
    geometry = np.empty(len(rows), dtype=object)
    geometry[:] = [row["geometry"] for row in rows]
    return gpd.GeoDataFrame(table, geometry=geometry, crs=WGS84)[list(columns)]


def _runs(nodes: list[tuple[int, float, float] | None]) -> list[list[tuple[int, float, float]]]:
    """Stretches of two or more consecutive nodes that are in the file."""
    runs: list[list[tuple[int, float, float]]] = [[]]
    for node in nodes:
        if node is None:
            runs.append([])
        elif not runs[-1] or runs[-1][-1][0] != node[0]:
            runs[-1].append(node)
    return [run for run in runs if len(run) > 1]


def _shape(area: Any) -> Any:
    """The assembled area as a Polygon or MultiPolygon, mended if need be; None where nothing is left."""
    polygons = []
    for outer in area.outer_rings():
        shell = [(n.lon, n.lat) for n in outer]
        holes = [[(n.lon, n.lat) for n in inner] for inner in area.inner_rings(outer)]
        polygons.append(shapely.Polygon(shell, holes))
    whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    if not whole.is_valid:
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(whole)))
        areas = [part for part in parts if part.geom_type == "Polygon"]
        whole = areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
    return None if whole.is_empty else whole
