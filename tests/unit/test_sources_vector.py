"""Streets, addresses, places, boundaries and grids from foreign files, their columns, CRS and refused rows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from grid.core.errors import BadInput, NotFound
from grid.sources.base import STREET_COLUMNS
from grid.sources.vector import (
    read_addresses,
    read_boundaries,
    read_grids,
    read_places,
    read_streets,
)

LINE = shapely.LineString([(117.0, 25.0), (117.001, 25.0)])
SQUARE = shapely.box(117.0, 25.0, 117.01, 25.01)
BOW_TIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])


def save(tmp_path: Path, file: str, /, crs: Any = 4326, **columns: Any) -> Path:
    path = tmp_path / file
    gpd.GeoDataFrame(columns, crs=crs).to_file(path)
    return path


def write(tmp_path: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def codes(refused: Any) -> list[tuple[object, str, bool]]:
    return [(one.row, one.code, one.kept) for one in refused]


def test_known_street_fields_need_no_mapping(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        "roads.gpkg",
        NAME=["解放路", None],
        name_EN=["Jiefang Road", None],
        Class=["主干道", "背街小巷"],
        oneway=["yes", "-1"],
        left_from=[1, 0],
        left_to=[19, 0],
        right_from=[0, 2],
        right_to=[0, 0],
        geometry=[LINE, LINE],
    )
    streets, refused = read_streets(path)
    assert refused == []
    assert tuple(streets.columns) == STREET_COLUMNS
    assert streets["name"].tolist() == ["解放路", None]
    assert streets["names"].tolist() == [{"en": "Jiefang Road"}, {}]
    assert streets["class_"].tolist() == ["primary", "residential"]
    assert streets["oneway"].tolist() == ["forward", "backward"]
    assert streets["left_from"].tolist() == [1, pd.NA]
    assert streets[["right_from", "right_to"]].values.tolist() == [[pd.NA, pd.NA], [2, 2]]
    assert streets["source_key"].tolist() == ["roads/1", "roads/2"]
    assert streets["level"].tolist() == [0, 0]
    assert streets.crs.to_epsg() == 4326


def test_mapping_without_regard_to_case_and_constants(tmp_path: Path) -> None:
    path = save(tmp_path, "r.gpkg", Road_Nm=["A"], code=["x7"], geometry=[LINE])
    streets, _ = read_streets(path, mapping={"name": "ROAD_NM", "class": "=次干道", "id": "Code"})
    assert streets["name"].tolist() == ["A"]
    assert streets["class_"].tolist() == ["secondary"]
    assert streets["source_key"].tolist() == ["r/x7"]


def test_a_missing_field_names_the_columns_there_are(tmp_path: Path) -> None:
    path = save(tmp_path, "r.gpkg", road=["A"], width=[3.0], geometry=[LINE])
    for mapping, field in (({}, "name"), ({"name": "strasse"}, "strasse")):
        with pytest.raises(BadInput) as trouble:
            read_streets(path, mapping=mapping)
        assert trouble.value.code == "import.field_missing"
        assert trouble.value.field == field
        assert trouble.value.values["known"] == ["road", "width"]


def test_parts_become_lines_unless_they_join(tmp_path: Path) -> None:
    joined = shapely.MultiLineString([[(0, 0), (1, 0)], [(1, 0), (2, 0)]])
    apart = shapely.MultiLineString([[(0, 0), (1, 0)], [(5, 0), (6, 0)]])
    path = save(tmp_path, "r.gpkg", name=["A", "B"], geometry=[joined, apart])
    streets, refused = read_streets(path)
    assert streets["source_key"].tolist() == ["r/1", "r/2", "r/2#2"]
    assert streets.geometry.geom_type.eq("LineString").all()
    assert streets.geometry[0].length == 2.0
    assert refused == []


def test_rows_that_cannot_be_used_are_refused_with_their_row(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        "r.gpkg",
        crs=None,
        name=list("abcdefg"),
        level=["0", "0", "0", "0", "0", "1.5", "1"],
        left_from=["1", "1", "1", "1", "1", "1", "twelve"],
        geometry=[
            None,
            shapely.LineString(),
            shapely.Point(1, 1),
            shapely.LineString([(1, 1), (1, 1)]),
            shapely.LineString([(500_000, 1), (500_001, 1)]),
            LINE,
            LINE,
        ],
    )
    streets, refused = read_streets(path, crs="EPSG:4326")
    assert streets["name"].tolist() == ["f", "g"]
    assert streets["level"].tolist() == [0, 1]
    assert codes(refused) == [
        (1, "import.geometry_empty", False),
        (2, "import.geometry_empty", False),
        (3, "import.geometry_type", False),
        (4, "import.geometry_zero_length", False),
        (5, "import.out_of_range", False),
        (6, "import.number_unreadable", True),
        (7, "import.number_unreadable", True),
    ]
    assert refused[2].values == {"found": "Point", "wanted": "LineString"}


def test_unknown_words_take_the_default_and_are_reported(tmp_path: Path) -> None:
    path = save(
        tmp_path, "r.gpkg", name=["A"], **{"class": ["avenue"]}, oneway=["?"], geometry=[LINE]
    )
    streets, refused = read_streets(path)
    assert streets[["class_", "oneway"]].values.tolist() == [["residential", "no"]]
    assert [one.values for one in refused] == [
        {"field": "class", "value": "avenue", "used": "residential"},
        {"field": "oneway", "value": "?", "used": "no"},
    ]


def test_any_crs_comes_out_as_lon_lat(tmp_path: Path) -> None:
    plane = gpd.GeoSeries([LINE], crs=4326).to_crs(4548)
    path = save(tmp_path, "r.gpkg", crs=4548, name=["A"], geometry=list(plane))
    streets, _ = read_streets(path)
    assert shapely.get_coordinates(streets.geometry[0]) == pytest.approx(
        shapely.get_coordinates(LINE), abs=1e-9
    )
    bare = save(tmp_path, "bare.shp", crs=None, name=["A"], geometry=list(plane))
    with pytest.raises(BadInput) as trouble:
        read_streets(bare)
    assert trouble.value.code == "import.crs_missing"
    again, _ = read_streets(bare, crs="EPSG:4548")
    assert shapely.get_coordinates(again.geometry[0])[0] == pytest.approx([117.0, 25.0], abs=1e-8)
    with pytest.raises(BadInput) as unknown:
        read_streets(bare, crs="EPSG:999999")
    assert unknown.value.code == "crs.unknown"


def test_shapefiles_in_gbk_without_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "gbk.shp"
    gpd.GeoDataFrame({"name": ["人民路"]}, geometry=[LINE], crs=4326).to_file(path, encoding="GBK")
    (tmp_path / "gbk.cpg").unlink()
    table = tmp_path / "gbk.dbf"
    data = bytearray(table.read_bytes())
    data[29] = 0
    table.write_bytes(bytes(data))
    assert read_streets(path)[0]["name"].tolist() == ["人民路"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_addresses_from_csv(tmp_path: Path, name: str, encoding: str) -> None:
    text = (
        "Street,house_number,community,LON,Lat\n"
        "解放路,12号,东门社区,117.0,25.0\n"
        "解放路,０１４,,117.1,25.1\n"
        "解放路,,,117.1,25.1\n"
        ",3,,117.1,25.1\n"
        "解放路,5,,x,25.1\n"
        "解放路,6,,,\n"
        "解放路,7,,25.1,117.0\n"
    )
    plates, refused = read_addresses(write(tmp_path, name, text, encoding))
    assert plates["house_number"].tolist() == ["12号", "０１４"]
    assert plates["community"].tolist() == ["东门社区", None]
    assert shapely.get_coordinates(plates.geometry.values).tolist() == [[117, 25], [117.1, 25.1]]
    assert codes(refused) == [
        (3, "import.value_missing", False),
        (4, "import.value_missing", False),
        (5, "import.number_unreadable", False),
        (6, "import.geometry_empty", False),
        (7, "import.out_of_range", False),
    ]


def test_each_row_may_have_its_own_datum(tmp_path: Path) -> None:
    text = (
        "street,house_number,lon,lat,datum\n"
        "a,1,117,25,WGS84\na,2,117,25,gcj02\na,3,117,25,\na,4,117,25,mars\n"
    )

    def shift(lon: Any, lat: Any, datum: str) -> Any:
        if datum != "gcj02":
            raise BadInput("datum.unknown", field="datum", datum=datum)
        return lon - 0.005, lat + 0.002

    path = write(tmp_path, "a.csv", text)
    plates, refused = read_addresses(path, to_wgs84=shift)
    assert shapely.get_coordinates(plates.geometry.values).tolist() == [
        [117, 25],
        [pytest.approx(116.995), pytest.approx(25.002)],
        [117, 25],
    ]
    assert codes(refused) == [(4, "import.datum_unknown", False)]
    plates, refused = read_addresses(path)
    assert [one.row for one in refused] == [2, 4]


def test_tables_in_a_projected_crs_and_mapped_point_columns(tmp_path: Path) -> None:
    east, north = gpd.GeoSeries([shapely.Point(117, 25)], crs=4326).to_crs(4548)[0].coords[0]
    path = write(tmp_path, "a.csv", f"street,house_number,E,N\na,1,{east},{north}\n")
    mapping = {"lon": "e", "lat": "n"}
    plates, _ = read_addresses(path, mapping=mapping, crs="EPSG:4548")
    assert shapely.get_coordinates(plates.geometry[0])[0] == pytest.approx([117, 25], abs=1e-8)


def test_addresses_from_xlsx_and_sheet(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    rows = pd.DataFrame({"street": ["a"], "house_number": [12], "lon": [117.0], "lat": [25.0]})
    with pd.ExcelWriter(path) as book:
        rows.to_excel(book, sheet_name="one", index=False)
        rows.assign(house_number=13).to_excel(book, sheet_name="two", index=False)
    assert read_addresses(path)[0]["house_number"].tolist() == ["12"]
    assert read_addresses(path, layer="two")[0]["house_number"].tolist() == ["13"]
    with pytest.raises(BadInput):
        read_addresses(path, layer="three")


def test_addresses_from_areas_have_an_inner_point(tmp_path: Path) -> None:
    path = save(tmp_path, "a.gpkg", street=["a"], house_number=["1"], geometry=[SQUARE])
    assert read_addresses(path)[0].geometry[0].within(SQUARE)


def test_places_are_points_or_areas(tmp_path: Path) -> None:
    two = shapely.MultiPolygon([SQUARE, shapely.box(118, 25, 118.001, 25.001)])
    path = save(
        tmp_path,
        "p.gpkg",
        name=["市场", "公园", "学校", None, "路"],
        kind=["Market", None, "school", "x", "x"],
        geometry=[shapely.Point(117, 25), SQUARE, two, SQUARE, LINE],
    )
    places, refused = read_places(path)
    assert places["kind"].tolist() == ["market", "place", "school"]
    assert places.geometry.geom_type.tolist() == ["Point", "Polygon", "MultiPolygon"]
    assert places.geometry[2].equals(two)
    assert codes(refused) == [
        (4, "import.value_missing", False),
        (5, "import.geometry_type", False),
    ]


def test_boundaries_are_mended_and_their_level_checked(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        "b.geojson",
        name=["东门社区", "西门社区", "某省"],
        level=["Community", "community", "province"],
        code=["01", None, "3"],
        geometry=[SQUARE, BOW_TIE, SQUARE],
    )
    found, refused = read_boundaries(path)
    assert found[["name", "level", "code"]].values.tolist() == [
        ["东门社区", "community", "01"],
        ["西门社区", "community", None],
    ]
    assert found.geometry.is_valid.all()
    assert found.geometry[1].area == pytest.approx(0.5)
    assert codes(refused) == [
        (2, "import.geometry_repaired", True),
        (3, "import.value_unknown", False),
    ]


def test_grids_by_area_and_by_segment(tmp_path: Path) -> None:
    areas, _ = read_grids(save(tmp_path, "g.gpkg", code=["G1"], name=["一"], geometry=[SQUARE]))
    assert areas[["code", "name"]].values.tolist() == [["G1", "一"]]
    assert areas["segment_id"].isna().all()
    listed, refused = read_grids(
        write(tmp_path, "g.csv", "code,name,segment_id\nG1,一,17\nG1,一,18\n,二,19\n")
    )
    assert listed["segment_id"].tolist() == ["17", "18"]
    assert codes(refused) == [(3, "import.value_missing", False)]
    sides, refused = read_grids(
        write(tmp_path, "s.csv", "code,name,segment_id,side\nG1,一,17,left\nG2,二,17,\n")
    )
    assert refused == []
    assert [None if v != v else v for v in sides["side"]] == ["left", None]


def test_files_that_are_not_there_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        read_streets(tmp_path / "none.gpkg")
    assert missing.value.code == "import.file_missing"
    for name in ("broken.gpkg", "broken.geojson"):
        with pytest.raises(BadInput) as broken:
            read_streets(write(tmp_path, name, "nothing"))
        assert broken.value.code == "import.unreadable"
    path = save(tmp_path, "r.gpkg", name=["A"], geometry=[LINE])
    with pytest.raises(BadInput) as layer:
        read_streets(path, layer="other")
    assert layer.value.code == "import.layer_missing"
    assert layer.value.values["known"] == ["r"]


def test_geojson_gz_is_read(tmp_path: Path) -> None:
    plain = save(tmp_path, "r.geojson", name=["A"], geometry=[LINE])
    packed = tmp_path / "r2.geojson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_streets(packed)[0]["name"].tolist() == ["A"]


def test_real_boundaries_with_one_invalid(shared_data: Path) -> None:
    path = shared_data / "us-boston" / "neighborhoods.geojson"
    source = gpd.read_file(path)
    name = next(column for column in source.columns if "name" in column.lower())
    found, refused = read_boundaries(path, mapping={"name": name, "level": "=community"})
    assert len(found) == len(source) == 26
    assert [one.code for one in refused] == ["import.geometry_repaired"]
    assert found.geometry.is_valid.all()


def test_real_addresses_of_keelung(shared_data: Path) -> None:
    path = shared_data / "taiwan" / "keelung-addresses.csv.gz"
    mapping = {"street": "road", "house_number": "number", "community": "village"}
    plates, refused = read_addresses(path, mapping=mapping)
    assert len(plates) + len(refused) == 97_971
    assert {one.code for one in refused} <= {"import.value_missing"}
    assert plates.loc[0, ["street", "house_number", "community"]].tolist() == [
        "大華一路",
        "32之1號",
        "八德里",
    ]
    lon = shapely.get_x(plates.geometry.values)
    assert np.all((lon > 121.6) & (lon < 121.9))
