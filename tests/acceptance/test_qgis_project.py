"""The QGIS project: whole, in both languages, on the service it was asked from; opened by QGIS itself where there is one."""

from __future__ import annotations

import io
import json
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.services import Services
from maps.layers import LAYERS
from tests.web import Office, office, server_thread

SYSTEM_PYTHON = "/usr/bin/python3"
OPEN = """
import json, os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsCoordinateTransform, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
application = QgsApplication([], False)
application.initQgis()
project = QgsProject.instance()
opened = project.read(sys.argv[1])
layers = project.mapLayers().values()
told = {l.id(): [l.isValid(), sum(1 for _ in l.getFeatures()), l.renderer().type() if l.renderer() else "", l.crs().authid()] for l in layers}
settings = QgsMapSettings()
settings.setLayers([l for l in project.layerTreeRoot().layerOrder() if l in project.layerTreeRoot().checkedLayers()])
settings.setDestinationCrs(project.crs())
settings.setOutputSize(QSize(900, 600))
settings.setBackgroundColor(QColor("white"))
streets = project.mapLayer("gridward_segments")
turned = QgsCoordinateTransform(streets.crs(), project.crs(), project)
settings.setExtent(turned.transformBoundingBox(streets.extent()))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().save(sys.argv[2])
print(json.dumps({"opened": opened, "layers": told, "crs": project.crs().authid(), "title": project.title()}))
"""


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(town_services: Services) -> Iterator[str]:
    with server_thread(town_services) as opened:
        yield opened


def read(answer: httpx.Response) -> ET.Element:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        return ET.fromstring(packed.read("gridward.qgs"))  # noqa: S314 (our own)


def have_qgis() -> bool:
    asked = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    return Path(SYSTEM_PYTHON).exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0  # fmt: skip


def ask(desk: Office, role: str | None, method: str, query: str = "", base: str = "") -> httpx.Response:  # fmt: skip
    headers = {"Authorization": f"Bearer {desk.token(role)}"} if role else {}
    address = f"{base}/exports/gridward.qgz{query}"
    if base:
        return httpx.request(method, address, headers=headers, timeout=30)
    answer: httpx.Response = desk.client.request(method, address, headers=headers)
    return answer


@pytest.mark.parametrize(("lang", "first"), [("zh", "案件"), ("en", "Incidents")])
def test_every_layer_is_in_the_project_in_the_language(desk: Office, lang: str, first: str) -> None:
    whole = read(ask(desk, "analyst", "GET", f"?lang={lang}"))
    layers = whole.findall("projectlayers/maplayer")
    assert {one.findtext("id") for one in layers} == {f"gridward_{name}" for name in LAYERS}
    leaves = {one.get("id") for one in whole.iter("layer-tree-layer")}
    assert leaves == {one.findtext("id") for one in layers}
    group = whole.find("layer-tree-group/layer-tree-group")
    assert group is not None
    assert group.get("name") == first
    for one in layers:
        table = one.get("geometry") == "No geometry"
        assert table == (one.findtext("id") == "gridward_incidents_unplaced")
        assert (one.find("renderer-v2/rules/rule") is None) == table
        source = one.findtext("datasource") or ""
        assert "url='http://testserver/ogc'" in source
        words = " ".join(alias.get("name") or "" for alias in one.iter("alias"))
        assert any("\u4e00" <= sign <= "\u9fff" for sign in words) == (lang == "zh")


def test_a_project_without_a_link_holds_no_secret_and_one_with_it_opens_the_service(
    desk: Office,
) -> None:
    before = len(desk.get("analyst", "/me/tokens").json())
    assert b"key/" not in ET.tostring(read(ask(desk, "analyst", "GET")))
    assert len(desk.get("analyst", "/me/tokens").json()) == before
    source = read(ask(desk, "analyst", "POST")).findtext("projectlayers/maplayer/datasource") or ""
    url = source.partition("url='http://testserver")[2].partition("'")[0]
    assert desk.client.get(f"{url}/collections").status_code == 200
    made = desk.get("analyst", "/me/tokens").json()[0]
    assert made["name"] == "QGIS"
    assert set(made["scopes"]) == {"read", "see_people"}
    assert desk.ask("analyst", "DELETE", f"/me/tokens/{made['id']}").status_code == 204
    assert desk.client.get(f"{url}/collections").status_code == 401


def test_who_may_have_it(desk: Office) -> None:
    assert ask(desk, None, "GET").status_code == 401
    crew = {one.findtext("id") for one in read(ask(desk, "cleaner", "GET")).iter("maplayer")}
    assert "gridward_hotspots" not in crew
    assert "gridward_incidents" in crew
    database = read(ask(desk, "analyst", "GET", "?source=postgis&service=town"))
    assert "service='town'" in (database.findtext("projectlayers/maplayer/datasource") or "")
    assert ask(desk, "analyst", "GET", "?source=postgis&service=a'b").status_code == 422


@pytest.mark.skipif(not have_qgis(), reason="needs Debian's python3-qgis")
def test_qgis_opens_it_without_a_missing_layer(desk: Office, address: str, tmp_path: Path) -> None:
    file, picture = tmp_path / "gridward.qgz", tmp_path / "map.png"
    file.write_bytes(ask(desk, "analyst", "POST", "?lang=zh", address).content)
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", OPEN, str(file), str(picture)],
        capture_output=True, text=True, timeout=120, check=False, env={"HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["opened"]
    assert told["crs"] == "EPSG:3857"
    assert told["title"] == "责任田"
    for name in LAYERS:
        answer = httpx.get(
            f"{address}/ogc/collections/{name}/items?limit=1&count=true",
            headers={"Authorization": f"Bearer {desk.token('analyst')}"}, timeout=30,
        )  # fmt: skip
        valid, rows, renderer, crs = told["layers"][f"gridward_{name}"]
        assert valid, name
        assert rows == answer.json()["numberMatched"], name
        if rows and not LAYERS[name].table:
            # Of a collection without a feature QGIS cannot tell what it would draw.
            assert (renderer, crs) in (("RuleRenderer", "EPSG:4326"), ("RuleRenderer", "OGC:CRS84"))
    assert picture.stat().st_size > 5_000
