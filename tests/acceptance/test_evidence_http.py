"""Evidence over HTTP: photographs without their notes, clips, documents, how far away; a folder or an S3-compatible store."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api.services import Services
from dispatch.evidence_store import S3Store
from grid.core.settings import StoreSettings
from tests.media_files import HELLO, film, ogg, pdf, telling_film
from tests.web import Office, office

BUCKET, KEY = "gridward", "town"


class Bucket(ThreadingHTTPServer):
    """An S3-compatible store of one bucket in memory, as another maker's would answer."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.away = False
        super().__init__(("127.0.0.1", 0), _Requests)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Requests(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        signed = f"AWS4-HMAC-SHA256 Credential={KEY}/" in self.headers.get("authorization", "")
        told = self.headers.get("x-amz-content-sha256", "")
        if self.server.away or not signed or told != hashlib.sha256(content).hexdigest():
            self._answer(503 if self.server.away else 403, b"")
            return
        self.server.files[self.path] = content
        self._answer(200, b"")

    def do_GET(self) -> None:
        found = self.server.files.get(self.path)
        if self.server.away:
            self._answer(503, b"")
        elif found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, found)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Silent."""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def desk(town_services: Services) -> Iterator[Office]:
    with office(town_services) as opened:
        yield opened


@pytest.fixture(scope="module")
def incident(desk: Office) -> dict[str, Any]:
    lon, lat = desk.ground_of("cleaner")
    body = {"channel": "patrol", "category": "06042", "description": "垃圾桶满溢",
            "location": {"lon": lon, "lat": lat, "datum": "wgs84"}}  # fmt: skip
    made: dict[str, Any] = desk.post("operator", "/incidents", body).json()
    return made


def photograph() -> bytes:
    """A picture whose notes name a camera, a moment and a place (39.5 N, 116.25 E)."""
    image = Image.new("RGB", (400, 300), "teal")
    exif = image.getexif()
    exif[0x010F], exif[0x0110] = "Maker", "Phone 7"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (39.0, 30.0, 0.0), "E", (116.0, 15.0, 0.0)
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 08:30:00"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def sent(desk: Office, number: str, content: bytes, **fields: Any) -> httpx.Response:
    return desk.ask(
        "dispatcher", "POST", f"/incidents/{number}/evidence",
        files={"photo": ("x", content)}, data=fields,
    )  # fmt: skip


def piece(desk: Office, number: str, made: httpx.Response) -> dict[str, Any]:
    assert made.status_code == 201, made.text
    shown = desk.get("dispatcher", f"/incidents/{number}").json()["evidence"]
    found: dict[str, Any] = next(e for e in shown if e["id"] == made.json()["id"])
    return found


def test_a_photograph_loses_its_notes_and_keeps_its_distance(
    desk: Office, incident: dict[str, Any]
) -> None:
    number, at = incident["number"], incident["location"]
    # 0.001 degrees of latitude are 111 m on the ellipsoid there.
    made = sent(desk, number, photograph(), stage="before", lon=at["lon"], lat=at["lat"] + 0.001)
    shown = piece(desk, number, made)
    assert (shown["kind"], shown["stage"]) == ("photo", "before")
    assert 110 <= shown["distance_m"] <= 112
    whole = desk.client.get(
        shown["url"], headers={"Authorization": f"Bearer {desk.token('dispatcher')}"}
    )
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert not Image.open(io.BytesIO(whole.content)).getexif()
    assert b"Phone 7" not in whole.content
    small = desk.get("dispatcher", f"{shown['thumbnail_url'].removeprefix('/api/v1')}")
    assert max(Image.open(io.BytesIO(small.content)).size) <= 320
    path = f"/incidents/{number}/evidence/{shown['id']}/metadata"
    notes = desk.get("dispatcher", path).json()
    assert (notes["Make"], notes["Model"]) == ("Maker", "Phone 7")
    assert (notes["lon"], notes["lat"]) == (116.25, 39.5)
    assert notes["DateTimeOriginal"] == "2026:11:20 08:30:00"
    assert desk.get("cleaner", path).status_code == 403


def test_clips_and_documents_lose_their_notes(desk: Office, incident: dict[str, Any]) -> None:
    number = incident["number"]
    made = telling_film(b"isom")
    clip = piece(desk, number, sent(desk, number, made, stage="after"))
    assert (clip["kind"], clip["media_type"], clip["thumbnail_url"]) == ("video", "video/mp4", None)
    headers = {"Authorization": f"Bearer {desk.token('dispatcher')}"}
    whole = desk.client.get(clip["url"], headers=headers).content
    assert len(whole) == len(made)
    assert HELLO in whole
    assert b"39.5" not in whole
    part = desk.client.get(clip["url"], headers={**headers, "Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, whole[:8])
    # What it said stands apart, for the desk alone.
    path = f"/incidents/{number}/evidence/{clip['id']}/metadata"
    notes = desk.get("dispatcher", path).json()
    assert (notes["lon"], notes["lat"], notes["Model"]) == (116.25, 39.5, "Phone 7")
    assert notes["sent_sha256"] == hashlib.sha256(made).hexdigest()
    assert desk.get("cleaner", path).status_code == 403
    paper = piece(desk, number, sent(desk, number, pdf(), stage="during"))
    given = desk.get("dispatcher", paper["url"].removeprefix("/api/v1"))
    assert given.content.startswith(b"%PDF-")
    assert b"Wang Wu" not in given.content
    assert given.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in given.headers["content-security-policy"]
    said = desk.get("dispatcher", f"/incidents/{number}/evidence/{paper['id']}/metadata").json()
    assert said["Author"] == "Wang Wu"
    # A voice note belongs to the stage at which it was spoken.
    for stage in ("before", "during", "after"):
        voice = piece(desk, number, sent(desk, number, ogg(f"STAGE={stage}"), stage=stage))
        assert (voice["kind"], voice["stage"]) == ("voice", stage)
    # No clip takes the place of the photograph that is needed.
    stages = {e["stage"] for e in desk.get("dispatcher", f"/incidents/{number}").json()["evidence"]
              if e["kind"] == "photo"}  # fmt: skip
    assert "after" not in stages


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html><script>alert(1)</script></html>", "evidence.not_a_photo"),
        (b"\xff\xd8\xff\xe0" + b"<script>" * 40, "evidence.not_a_photo"),
        (film()[:-3], "evidence.broken_clip"),
        (b"OggS" + bytes(50), "evidence.broken_clip"),
        (pdf()[:-9], "evidence.broken_document"),
        (pdf(password="1"), "evidence.document_locked"),
        (pdf()[:9] + bytes(3_000_000), "evidence.too_large"),
    ],
)
def test_what_is_not_evidence_is_refused(
    desk: Office,
    incident: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    code: str,
) -> None:
    monkeypatch.setattr(desk.services.settings.web, "document_limit_mb", 2)
    answer = sent(desk, incident["number"], content)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_files_lie_in_an_s3_compatible_store(
    town_services: Services, bucket: Bucket, tmp_path: Path
) -> None:
    settings = StoreSettings(
        bucket=BUCKET, endpoint=bucket.address, key=KEY, secret="s", prefix="a/"
    )
    services = dataclasses.replace(town_services)
    services.__dict__["evidence"] = S3Store(settings, tmp_path / "fetched")
    with office(services) as desk:
        lon, lat = desk.ground_of("cleaner")
        body = {"channel": "patrol", "category": "06042", "description": "垃圾满溢",
                "location": {"lon": lon, "lat": lat, "datum": "wgs84"}}  # fmt: skip
        number = desk.post("operator", "/incidents", body).json()["number"]
        made = piece(desk, number, sent(desk, number, photograph()))
        [name] = bucket.files
        assert name.startswith(f"/{BUCKET}/a/")
        assert Path(name).stem == hashlib.sha256(bucket.files[name]).hexdigest()
        # Another server has nothing at hand and fetches it.
        services.__dict__["evidence"] = S3Store(settings, tmp_path / "other")
        path = made["url"].removeprefix("/api/v1")
        assert desk.get("dispatcher", path).content == bucket.files[name]
        assert desk.get("dispatcher", f"{path}?size=thumbnail").status_code == 200
        bucket.away = True
        assert desk.get("dispatcher", path).status_code == 200
        services.__dict__["evidence"] = S3Store(settings, tmp_path / "third")
        away = desk.get("dispatcher", path)
        assert (away.status_code, away.json()["code"]) == (503, "evidence.store_away")
        assert sent(desk, number, film()).json()["code"] == "evidence.store_away"
        assert len(desk.get("dispatcher", f"/incidents/{number}").json()["evidence"]) == 1
        bucket.away = False
        bucket.files[name] += b"changed by a stranger"
        gone = desk.get("dispatcher", path)
        assert (gone.status_code, gone.json()["code"]) == (404, "evidence.file_missing")
