"""Systems of coordinates found by code or name, from the EPSG register that PROJ carries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pyproj.database import query_crs_info
from pyproj.enums import PJType

MOST = 60
# The 3-degree zones of CGCS2000 that a town may have.
TOWNS = {f"EPSG:{code}" for code in range(4513, 4555)}
# What a Chinese reader types, and what the register calls it.
SYNONYMS = {"国家大地": "cgcs2000", "大地2000": "cgcs2000", "北京54": "beijing 1954", "西安80": "xian 1980", "墨卡托": "mercator", "度带": "degree", "高斯": "gauss"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class System:
    """A system an export may have: "EPSG:4547" with the register's name and the area it is for."""

    code: str
    name: str
    area: str


@cache
def _register() -> tuple[System, ...]:
    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS]
    found = query_crs_info(auth_name="EPSG", pj_types=kinds, allow_deprecated=False)
    systems = [
        System(
            f"EPSG:{one.code}", one.name, (one.area_of_use.name or "") if one.area_of_use else ""
        )
        for one in found
    ]
    return tuple(sorted(systems, key=lambda one: int(one.code[5:])))


def find_systems(words: str, town_epsg: int | None, most: int = MOST) -> list[System]:
    """Systems whose code begins with, or whose name holds, every word; the town's own zone first, then WGS 84 and CGCS2000."""
    first = [f"EPSG:{code}" for code in (town_epsg, 4326, 4490) if code is not None]
    asked = words.strip().lower()
    for spoken, registered in SYNONYMS.items():
        asked = asked.replace(spoken, f" {registered} ")
    parts = [part.removeprefix("epsg:") for part in asked.split() if part != "epsg:"]
    fit = [one for one in _register() if all(_holds(one, part) for part in parts)]
    fit.sort(key=lambda one: _rank(one, parts, first))
    return fit[:most] if parts else [one for one in fit if one.code in first]


def _holds(one: System, part: str) -> bool:
    if part.isdecimal() and one.code[5:].startswith(part):
        return True
    return part in f"{one.name} {one.area}".lower()


def _rank(one: System, parts: list[str], first: list[str]) -> tuple[int, int, int, int]:
    exact = 0 if one.code[5:] in parts else 1
    own = first.index(one.code) if one.code in first else len(first)
    in_name = sum(
        part not in one.name.lower() and not one.code[5:].startswith(part) for part in parts
    )
    # A town on a plane of CGCS2000 rarely wants the systems before it.
    chinese = first[0] in TOWNS and not one.name.startswith("CGCS2000")
    return exact, own, int(chinese), in_name
