"""What a file is by its content: clips, voice notes, documents; broken ones are refused, disguised ones found out."""

from __future__ import annotations

import pytest

from dispatch.media import likely_kind, media_of
from grid.core.errors import BadInput


def box(name: bytes, content: bytes = b"") -> bytes:
    return (len(content) + 8).to_bytes(4) + name + content


def film(brand: bytes = b"isom", handler: bytes = b"vide", data: bytes = bytes(100)) -> bytes:
    handlers = box(b"hdlr", bytes(8) + handler + bytes(12))
    return box(b"ftyp", brand + bytes(4)) + box(b"mdat", data) + box(b"moov", handlers)


PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\nstartxref\n9\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "kind", "media_type"),
    [
        (film(), "video", "video/mp4"),
        (film(b"3gp4"), "video", "video/3gpp"),
        (film(b"qt  "), "video", "video/quicktime"),
        (film(b"mp42", b"soun"), "voice", "audio/mp4"),
        (film(b"M4A ", b"soun"), "voice", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3" + b"webm" + b"V_VP9", "video", "video/webm"),
        (b"\x1a\x45\xdf\xa3" + b"webm" + b"A_OPUS", "voice", "audio/webm"),
        (b"OggS" + bytes(20), "voice", "audio/ogg"),
        (PDF, "document", "application/pdf"),
    ],
)
def test_a_file_is_known_by_its_content(content: bytes, kind: str, media_type: str) -> None:
    found = media_of(content)
    assert found is not None
    assert (found.kind, found.media_type) == (kind, media_type)
    assert likely_kind(content[:4096]) in (kind, "video")


@pytest.mark.parametrize(
    "content",
    [b"", b"MZ" + bytes(60), b"<html><script>alert(1)</script>", b"PK\x03\x04", b"\xff\xd8\xff\xe0",
     box(b"ftyp", b"heic" + bytes(4))],
)  # fmt: skip
def test_what_is_not_kept_as_it_came(content: bytes) -> None:
    assert media_of(content) is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (film()[:-5], "evidence.broken_clip"),
        (film() + b"<script>", "evidence.broken_clip"),
        (box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", bytes(9)), "evidence.broken_clip"),
        (PDF[:-8], "evidence.broken_document"),
    ],
)
def test_a_broken_file_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        media_of(content)
    assert refused.value.code == code
