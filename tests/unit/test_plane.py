"""The plane's transformer: the same doubles as PROJ's own choice, cheap to open in every thread."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from pyproj import CRS, Transformer

from grid.core.crs import WGS84, from_plane, to_plane, transformer

EXTREMES = [0.0, -0.0, 90.0, -90.0, 180.0, -180.0, 1e3, 1e9, -1e9, np.inf, np.nan]


@pytest.mark.parametrize("epsg", [4534, 4547, 4554, 32601, 32650, 32719])
def test_the_numbers_are_those_of_proj_to_the_last_bit(epsg: int) -> None:
    middle = CRS.from_epsg(epsg).area_of_use
    assert middle is not None
    chance = np.random.default_rng(epsg)
    lon = np.concatenate([chance.uniform(middle.west - 3, middle.east + 3, 2000), EXTREMES])
    lat = np.concatenate([chance.uniform(middle.south, middle.north, 2000), EXTREMES[::-1]])
    there = Transformer.from_crs(WGS84, epsg, always_xy=True).transform(lon, lat)
    assert np.array_equal(np.array(to_plane(lon, lat, epsg)), np.array(there), equal_nan=True)
    x, y = (np.append(values[:2000], EXTREMES) for values in there)
    back = Transformer.from_crs(epsg, WGS84, always_xy=True).transform(x, y)
    assert np.array_equal(np.array(from_plane(x, y, epsg)), np.array(back), equal_nan=True)


def test_a_new_thread_has_its_copy_at_once() -> None:
    taken_s: list[float] = []

    def first_use() -> None:
        begun = time.thread_time()
        transformer(4548, WGS84).transform(500_000.0, 3_700_000.0)
        taken_s.append(time.thread_time() - begun)

    transformer(4548, WGS84)
    for _ in range(3):
        thread = threading.Thread(target=first_use)
        thread.start()
        thread.join()
    assert min(taken_s) < 0.02
