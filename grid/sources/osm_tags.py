"""OSM tags read in our words: names, one-way, level, form, and what is no street of its own."""

from __future__ import annotations

import re

Tags = dict[str, str]

PAVEMENTS = frozenset({"sidewalk", "crossing", "traffic_island", "access_aisle", "link"})
ADMIN_LEVELS = {
    5: "town",
    6: "town",
    7: "town",
    8: "township",
    9: "community",
    10: "community",
    11: "community",
}
"""admin_level -> our level: in China 5 is the prefecture city, 6 the county or district, 8 the
subdistrict or town, 10 the community or village; the levels between fall to their neighbour."""
_LANGUAGE = re.compile(r"^name:([a-z]{2,3}(?:[-_][A-Za-z0-9]+)?)$")
# old_name, but also old_name:en, old_name:1949-1966, alt_name_1.
_OTHER_NAME = re.compile(r"^(alt|old|short|loc|official)_name(?:[:_]([\w-]+))?$")


def belongs_elsewhere(tags: Tags) -> bool:
    beside = any(tags.get(key) in PAVEMENTS for key in ("footway", "path", "cycleway"))
    walked = tags["highway"] in ("footway", "path", "cycleway")
    return tags.get("area") == "yes" or tags.get("indoor") == "yes" or (walked and beside)


def name_of(tags: Tags) -> str | None:
    """name; where it is missing name:zh, then name:en."""
    for key in ("name", "name:zh", "name:en"):
        name = " ".join(tags.get(key, "").split())
        if name:
            return name
    return None


def names_of(tags: Tags) -> dict[str, str]:
    """Names by language from name:xx; alt, old, short, loc, official (also by language or years) and ref.

    Several names in one tag are kept with their ";".
    """
    names = {}
    for key, value in sorted(tags.items()):
        language, other = _LANGUAGE.match(key), _OTHER_NAME.match(key)
        label = language.group(1) if language else "ref" if key == "ref" else None
        if other:
            label = ":".join(part for part in other.groups() if part)
        if label and value.strip():
            names[label] = " ".join(value.split())
    if "en" not in names and tags.get("int_name", "").strip():
        names["en"] = " ".join(tags["int_name"].split())
    return names


def oneway_of(tags: Tags) -> str:
    """forward, backward or no; motorways and roundabouts are one-way unless they say no."""
    said = tags.get("oneway")
    if said in ("yes", "1", "true"):
        return "forward"
    if said in ("-1", "reverse"):
        return "backward"
    implied = tags.get("junction") in ("roundabout", "circular")
    implied |= tags["highway"] in ("motorway", "motorway_link")
    return "forward" if implied and said is None else "no"


def level_of(tags: Tags) -> int:
    """layer where it is a whole number other than 0; else 1 on a bridge, -1 in a tunnel, 0."""
    try:
        layer = int(float(tags.get("layer", "0")))
    except ValueError:
        layer = 0
    if layer:
        return layer
    if tags.get("bridge", "no") != "no":
        return 1
    return -1 if tags.get("tunnel", "no") not in ("no", "building_passage") else 0


def form_of(tags: Tags) -> str:
    if tags.get("junction") in ("roundabout", "circular"):
        return "roundabout"
    return "ramp" if tags["highway"].endswith("_link") else "single"


def is_boundary(tags: Tags) -> bool:
    return tags.get("boundary") == "administrative"


def boundary_level(tags: Tags, admin_levels: dict[int, str]) -> str | None:
    level = tags.get("admin_level", "")
    return admin_levels.get(int(level)) if level.isdigit() else None
