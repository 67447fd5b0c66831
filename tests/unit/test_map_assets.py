"""No page of ours may ask another host for anything: what is vendored, and what folium asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import folium
import folium.plugins
import pytest

from maps.assets import VENDOR_URL, VENDORED, local_url, use_local_assets
from maps.page import render, town_map

STATIC = Path(__file__).resolve().parents[2] / "api" / "static"
VENDOR = STATIC / "vendor"
ROOT = STATIC.parents[1]


@pytest.mark.parametrize("file", sorted(set(VENDORED.values())))
def test_every_named_file_is_committed(file: str) -> None:
    assert (VENDOR / file).is_file()


def test_styles_point_only_at_files_that_are_here() -> None:
    missing = []
    for sheet in STATIC.rglob("*.css"):
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]+)", sheet.read_text(encoding="utf-8")):
            if address.startswith(("data:", "#")):
                continue
            target = STATIC.parent / address[1:] if address[0] == "/" else sheet.parent / address
            if not target.is_file():
                missing.append(f"{sheet.name}: {address}")
    assert missing == []


def test_own_scripts_and_styles_name_no_other_host() -> None:
    named = []
    for file in [*STATIC.rglob("*.js"), *STATIC.rglob("*.css"), *STATIC.rglob("*.svg")]:
        if VENDOR in file.parents:
            continue
        hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.\w{2,})", file.read_text("utf-8")))
        # The SVG namespace is a name, never fetched; the phone hands its way over to a map app by an
        # address that only opens when a person presses it.
        named += [f"{file.name}: {host}" for host in hosts - {"www.w3.org", "uri.amap.com"}]
    assert named == []


def test_vendored_styles_fetch_nothing_from_another_host() -> None:
    for sheet in VENDOR.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(\s*['\"]?|@import\s+['\"])(?:https?:)?//", text), sheet


@pytest.mark.parametrize(
    "plugin",
    [
        folium.plugins.MarkerCluster(),
        folium.plugins.HeatMap([[30.0, 115.0]]),
        folium.plugins.HeatMapWithTime([[[30.0, 115.0]]]),
        folium.plugins.Draw(),
        folium.plugins.LocateControl(),
        folium.plugins.MeasureControl(),
        folium.plugins.MousePosition(),
        folium.plugins.Fullscreen(),
        folium.Marker([30.0, 115.0], icon=folium.Icon(prefix="fa")),
    ],
    ids=lambda plugin: type(plugin).__name__,
)
def test_a_map_with_the_plugin_loads_only_local_files_that_exist(plugin: object) -> None:
    use_local_assets()
    page = folium.Map(tiles=None)
    page.add_child(plugin)
    html = page.get_root().render()
    loaded = re.findall(r"<(?:script|link)[^>]*?(?:src|href)=\"([^\"]+)\"", html)
    assert any(url.endswith("leaflet.js") for url in loaded)
    for url in loaded:
        assert url.startswith(VENDOR_URL + "/"), url
        assert (VENDOR / url.removeprefix(VENDOR_URL + "/")).is_file(), url
    assert len(loaded) == len(set(loaded)), "a file is loaded twice"


def test_the_pages_own_map_loads_leaflet_and_its_cluster_and_nothing_else() -> None:
    header = render(town_map(clustered=True), nonce="n0").header
    loaded = re.findall(r"(?:src|href)=\"([^\"]+)\"", header)
    assert [url.removeprefix(VENDOR_URL + "/").split("/")[0] for url in loaded] == [
        "leaflet",
        "leaflet",
        "leaflet.markercluster",
        "leaflet.markercluster",
        "leaflet.markercluster",
    ]
    assert all((VENDOR / url.removeprefix(VENDOR_URL + "/")).is_file() for url in loaded)


def test_a_file_that_is_not_vendored_never_leaves_the_host() -> None:
    assert local_url("https://cdn.example/x@1/thing.min.js") == (
        f"{VENDOR_URL}/not-vendored/thing.min.js"
    )
    assert local_url("https://cdn.example/bootstrap@5/dist/css/bootstrap.min.css") is None


def test_lock_file_has_integrity_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("resolved" not in entry for entry in packages.values())
    assert all("integrity" in entry for entry in packages.values())


def test_vendored_versions_are_the_pinned_ones() -> None:
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    copied = json.loads((VENDOR / "packages.json").read_text(encoding="utf-8"))
    versions = {entry["name"]: entry["version"] for entry in copied}
    assert {name: versions[name] for name in pinned} == pinned
    assert all(entry["license"] for entry in copied)
