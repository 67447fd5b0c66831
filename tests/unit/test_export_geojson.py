"""GeoJSON written by the batch says what was put in, sign by sign, and to the microsecond."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from maps.export_geojson import features

# No surrogates and no NUL: PostgreSQL holds neither.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
MOMENT = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001 (hypothesis wants them so)
ROW = st.tuples(
    st.none() | TEXT,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.none() | MOMENT | MOMENT.map(lambda moment: moment.replace(microsecond=0)),
    st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
)
KINDS = (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", "UTC"), pa.binary())


def batch_of(rows: list[Any]) -> pa.RecordBatch:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[4] = [m and m.replace(tzinfo=UTC) for m in columns[4]]
    columns[5] = [None if p is None else shapely.to_wkb(shapely.Point(p)) for p in columns[5]]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, KINDS, strict=True)]
    return pa.record_batch(arrays, names=["words", 'number "1"', "share", "flag", "at", "geom"])


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=8), st.integers(0, 7))
def test_what_is_written_is_what_was_there(rows: list[Any], begin: int) -> None:
    begin = min(begin, len(rows) - 1)
    batch = batch_of(rows).slice(begin)
    found = json.loads(f"[{bytes(features(batch)).decode()}]")
    assert len(found) == len(rows) - begin
    for feature, (words, number, share, flag, at, place) in zip(found, rows[begin:], strict=True):
        told = feature["properties"]
        assert (told["words"], told['number "1"'], told["flag"]) == (words, number, flag)
        assert told["share"] == share
        assert share is None or isinstance(told["share"], float)
        if at is None:
            assert told["at"] is None
        else:
            assert datetime.fromisoformat(told["at"]) == at.replace(tzinfo=UTC)
        if place is None:
            assert feature["geometry"] is None
        else:
            assert feature["geometry"]["type"] == "Point"
            for written, true in zip(feature["geometry"]["coordinates"], place, strict=True):
                assert abs(written - true) <= 6e-10


def test_a_row_looks_so() -> None:
    at = datetime(2026, 5, 1, 7, 8, 9, tzinfo=UTC)
    rows = [("永胜路", 7, 40.0, True, at, (114.5, 33.25))]
    assert bytes(features(batch_of(rows))).decode() == (
        '{"type":"Feature","properties":{"words":"永胜路","number \\"1\\"":7,"share":40.0,"flag":true,'
        '"at":"2026-05-01T07:08:09Z"},"geometry":{"type":"Point","coordinates":[114.5,33.25]}}'
    )
