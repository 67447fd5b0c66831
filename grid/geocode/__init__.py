"""Geocoding: the words that people say, placed with the town's own names. Pure; no database."""

from grid.geocode.chain import geocode
from grid.geocode.gazetteer import Gazetteer
from grid.geocode.model import (
    PLACE_NEEDED_BELOW,
    Answer,
    Candidate,
    Correction,
    GazetteerData,
    Reading,
)
from grid.geocode.text import parse

__all__ = [
    "PLACE_NEEDED_BELOW",
    "Answer",
    "Candidate",
    "Correction",
    "Gazetteer",
    "GazetteerData",
    "Reading",
    "geocode",
    "parse",
]
