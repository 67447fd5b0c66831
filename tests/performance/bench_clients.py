"""GDAL and QGIS on `/ogc` of a town with 3 200 segments and 100 000 incidents: every collection, a filter, all pages.

Compares every count with the database's and prints the seconds; fails when one differs. QGIS is Debian's python3-qgis.

Run: python -m tests.performance.bench_clients
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import select

from api.auth import give_key, save_account
from api.cli.opening import seed
from api.layers import keep_territory_now
from api.migrate import migrate
from api.models import AccountRow
from api.services import Services, make_services
from maps.layers import LAYERS
from tests.databases import TestCluster
from tests.performance.bench_exports import FILL as INCIDENTS
from tests.performance.bench_tiles import FILL as STREETS
from tests.web import server_thread

ROWS = 100_000
FILTER = "class = 'primary'"
QGIS = """
import json, os, sys, time
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsFeatureRequest, QgsRectangle, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
told = {}
for name in json.loads(sys.argv[2]):
    began = time.monotonic()
    source = f"pagingEnabled='true' preferCoordinatesForWfsT11='false' restrictToRequestBBOX='1' srsname='OGC:CRS84' typename='{name}' url='{sys.argv[1]}' version='OGC_API_FEATURES'"
    layer = QgsVectorLayer(source, name, "OAPIF")
    ids = {f["id"] for f in layer.getFeatures()} if layer.isValid() else set()
    told[name] = [layer.isValid(), len(ids), time.monotonic() - began]
layer = QgsVectorLayer(source.replace(f"typename='{name}'", "typename='segments'"), "segments", "OAPIF")
layer.setSubsetString(sys.argv[3])
told["filter"] = [layer.isValid(), sum(1 for _ in layer.getFeatures()), 0]
layer.setSubsetString("")
box = QgsFeatureRequest(QgsRectangle(*json.loads(sys.argv[4])))
told["box"] = [layer.isValid(), sum(1 for _ in layer.getFeatures(box)), 0]
print(json.dumps(told))
"""
BOX = (114.41, 30.41, 114.43, 30.43)


def main() -> None:
    """Makes the town and lets both programs read it."""
    home = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
    home.chmod(0o755)
    cluster = TestCluster(home)
    try:
        services = make_services(cluster.settings(cluster.url(cluster.create())))
        migrate(services.engine)
        with services.sessions() as session:
            seed(services, session)
            session.commit()
        url = services.engine.url.render_as_string(False).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(STREETS.replace("223)", "39)").encode())
            # The ground is worked out in metres.
            raw.execute(b"update segment set line_plane = st_setsrid(st_transform(line, 4547), 0)")
            raw.execute(INCIDENTS.replace("%s", str(ROWS)).encode())
            raw.execute(b"vacuum analyze")
            # Made by the first who asks for it.
            keep_territory_now(services.engine, datetime.now(UTC))
            told: dict[str, Any] = {
                layer: raw.execute(f"select count(*) from gis.{layer}".encode()).fetchone()
                for layer in LAYERS
            }
            box = ", ".join(map(str, BOX))
            for name, where in (("filter", FILTER), ("box", f"st_intersects(geom, st_makeenvelope({box}, 4326))")):  # fmt: skip
                told[name] = raw.execute(
                    f"select count(*) from gis.segments where {where}".encode()
                ).fetchone()
        counts = {name: int(row[0]) for name, row in told.items()}
        secret = _link(services)
        with server_thread(services) as address:
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            faults = _gdal(f"{address}/ogc/key/{secret}", home / "out.gpkg", counts)
            faults += _qgis(f"{address}/ogc/key/{secret}", counts)
        services.engine.dispose()
    finally:
        cluster.stop()
    sys.exit(1 if faults else 0)


def _link(services: Services) -> str:
    with services.sessions() as session:
        save_account(session, "analyst", "bench-password", "analyst", "analyst")
        row = session.scalars(select(AccountRow).where(AccountRow.username == "analyst")).one()
        given = {"kind": "token", "name": "QGIS", "scopes": ["read", "see_people"]}
        secret, _ = give_key(session, row, datetime.now(UTC), lasting=timedelta(hours=2), **given)  # type: ignore[arg-type]
        session.commit()
    return secret


def _gdal(address: str, out: Path, counts: dict[str, int]) -> int:
    began = time.monotonic()
    command = ["ogr2ogr", "-f", "GPKG", str(out), f"OAPIF:{address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(
        f"ogr2ogr: status {done.returncode}, {time.monotonic() - began:.1f} s {done.stderr[:300]}"
    )
    faults = int(done.returncode != 0)
    for layer in LAYERS:
        asked = ["ogrinfo", "-so", "-ro", str(out), layer]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        # A collection without a feature has no columns that GDAL could learn, and no table.
        fine = f"Feature Count: {counts[layer]}\n" in told or counts[layer] == 0
        faults += not fine
        print(f"  {layer:20} {counts[layer]:8d} {'the same' if fine else told[-300:]}")
    asked = ["ogrinfo", "-so", "-ro", f"OAPIF:{address}", "segments", "-where", FILTER]
    began = time.monotonic()
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    fine = f"Feature Count: {counts['filter']}\n" in told
    print(f"  -where {FILTER}: {counts['filter']} {'the same' if fine else told[-300:]}, {time.monotonic() - began:.1f} s")  # fmt: skip
    return faults + (not fine)


def _qgis(address: str, counts: dict[str, int]) -> int:
    command = ["/usr/bin/python3", "-c", QGIS, address, json.dumps(list(LAYERS)), FILTER, json.dumps([BOX[0], BOX[1], BOX[2], BOX[3]])]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        print(f"QGIS: {done.stderr[-500:]}")
        return 1
    faults = 0
    print("QGIS:")
    for name, (valid, rows, took_s) in json.loads(done.stdout.strip().splitlines()[-1]).items():
        fine = valid and rows == counts[name]
        faults += not fine
        print(f"  {name:20} {rows:8d} {'the same' if fine else f'valid {valid}, wanted {counts[name]}'}, {took_s:.1f} s")  # fmt: skip
    return faults


if __name__ == "__main__":
    main()
