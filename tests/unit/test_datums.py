"""Datums: round trips under 0.1 m, the sizes of the known offsets, projected zones, and points under a wrong label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from grid.core.datums import from_wgs84, in_china, suspect_datum, to_wgs84, zone_epsg
from grid.core.errors import BadInput

GEOD = Geod(ellps="WGS84")
TOWN = (117.20, 34.20, 117.30, 34.30)


def apart_m(a: tuple[object, object], b: tuple[object, object]) -> np.ndarray:
    return np.abs(np.asarray(GEOD.inv(a[0], a[1], b[0], b[1])[2]))


@given(
    st.floats(73.6, 134.9),
    st.floats(18.1, 53.4),
    st.sampled_from(["gcj02", "bd09", "cgcs2000", "wgs84"]),
)
def test_there_and_back_is_under_a_decimetre(lon: float, lat: float, datum: str) -> None:
    there = from_wgs84(lon, lat, datum)
    back = to_wgs84(*there, datum)
    assert apart_m(back, (lon, lat)) < 0.1


def test_offsets_have_the_published_sizes() -> None:
    """Domain notes 6.3: WGS 84 to GCJ-02 median 510 m (226-622 m), GCJ-02 to BD-09 median 906 m (854-954 m)."""
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(100, 123, 20000), rng.uniform(22, 42, 20000)
    mars = from_wgs84(lon, lat, "gcj02")
    first = apart_m((lon, lat), mars)
    assert np.median(first) == pytest.approx(510, abs=15)
    assert np.percentile(first, [5, 95]) == pytest.approx([226, 622], abs=20)
    second = apart_m(mars, from_wgs84(lon, lat, "bd09"))
    assert np.median(second) == pytest.approx(906, abs=15)
    assert np.percentile(second, [5, 95]) == pytest.approx([854, 954], abs=20)


@pytest.mark.parametrize(("lon", "lat"), [(-71.06, 42.36), (24.94, 60.17), (2.35, 48.85)])
@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_outside_china_nothing_moves(lon: float, lat: float, datum: str) -> None:
    assert not in_china(lon, lat)
    assert tuple(map(float, from_wgs84(lon, lat, datum))) == (lon, lat)
    assert tuple(map(float, to_wgs84(lon, lat, datum))) == (lon, lat)


def test_projected_zones_with_and_without_prefix() -> None:
    """On the central meridian of zone 39 the easting is 500 km, or 39 500 km with the prefix (domain notes 6.1)."""
    assert (zone_epsg(117.0), zone_epsg(117.0, prefix=True)) == (4548, 4527)
    x, y = from_wgs84(117.0, 34.0, "epsg:4548")
    assert float(x) == pytest.approx(500_000.0, abs=0.001)
    assert 3_700_000 < float(y) < 3_800_000
    prefixed, _ = from_wgs84(117.0, 34.0, "EPSG:4527")
    assert float(prefixed) == pytest.approx(39_500_000.0, abs=0.001)
    assert apart_m(to_wgs84(x, y, "epsg:4548"), (117.0, 34.0)) < 0.001


@pytest.mark.parametrize("datum", ["", "unknown", "wgs72", "epsg:1", "epsg:abc", "4326"])
def test_unknown_datum_is_refused(datum: str) -> None:
    with pytest.raises(BadInput) as caught:
        to_wgs84(117.0, 34.0, datum)
    assert (caught.value.code, caught.value.field, caught.value.values) == (
        "datum.unknown",
        "datum",
        {"datum": datum},
    )


def test_arrays_of_points_keep_their_shape() -> None:
    lon, lat = np.full((3, 2), 117.0), np.full((3, 2), 34.0)
    assert to_wgs84(lon, lat, "gcj02")[0].shape == (3, 2)


def test_swapped_axes_are_suspected_first() -> None:
    found = suspect_datum(34.25, 117.25, TOWN)
    assert (found[0].swapped, found[0].datum) == (True, "wgs84")
    assert (found[0].lon, found[0].lat) == (117.25, 34.25)


def test_a_point_just_outside_that_is_inside_as_gcj02() -> None:
    shifted = from_wgs84(117.2999, 34.25, "gcj02")
    lon, lat = float(shifted[0]), float(shifted[1])
    assert lon > TOWN[2]
    assert "gcj02" in [s.datum for s in suspect_datum(lon, lat, TOWN) if not s.swapped]


def test_projected_coordinates_under_the_label_of_degrees() -> None:
    x, y = from_wgs84(117.25, 34.25, "epsg:4548")
    found = suspect_datum(float(x), float(y), TOWN, extra=("epsg:4548", "epsg:4527"))
    assert [(s.datum, s.swapped) for s in found] == [("epsg:4548", False)]
    swapped = suspect_datum(float(y), float(x), TOWN, extra=("epsg:4548",))
    assert [(s.datum, s.swapped) for s in swapped] == [("epsg:4548", True)]


def test_a_point_inside_or_nowhere_near_is_not_suspected() -> None:
    assert suspect_datum(117.25, 34.25, TOWN) == []
    assert suspect_datum(-71.06, 42.36, TOWN) == []


def test_the_town_may_be_a_function() -> None:
    found = suspect_datum(
        34.25, 117.25, lambda lon, lat: (lon > 117.2) & (lon < 117.3) & (lat > 34.2) & (lat < 34.3)
    )
    assert found[0].swapped
