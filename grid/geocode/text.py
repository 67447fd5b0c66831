"""From a text to its parts: Chinese text by the Chinese parser, all other by the Latin one."""

from __future__ import annotations

from grid.geocode.chinese import parse_chinese
from grid.geocode.fold import has_cjk
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.latin import parse_latin
from grid.geocode.model import Reading
from grid.geocode.parsed import Parsed

LONGEST = 300
"""Characters of a text that are read; the place of a report stands in its beginning."""


def read(text: str, gazetteer: Gazetteer) -> Parsed:
    """The parts of a text with the things of this town that they name."""
    clipped = text[:LONGEST]
    if has_cjk(clipped):
        return parse_chinese(clipped, gazetteer)
    return parse_latin(clipped, gazetteer)


def parse(text: str, gazetteer: Gazetteer) -> Reading:
    """What a text says, field by field (see `Reading`); fields that it does not say are empty."""
    return read(text, gazetteer).reading()
