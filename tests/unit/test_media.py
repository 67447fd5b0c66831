"""What a file is by its content; broken ones are refused, disguised ones found out, and none keeps what it says of itself."""

from __future__ import annotations

import hashlib
import io
import random

import pikepdf
import pytest

from dispatch.media import cleaned, likely_kind, media_of
from grid.core.errors import BadInput
from tests.media_files import HELLO, amr, box, film, mp3, ogg, pdf, telling_film, track, webm

PLAIN_PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\nstartxref\n9\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "kind", "media_type"),
    [
        (film(), "video", "video/mp4"),
        (film(b"3gp4"), "video", "video/3gpp"),
        (film(b"qt  "), "video", "video/quicktime"),
        (film(b"mp42", b"soun"), "voice", "audio/mp4"),
        (film(b"M4A ", b"soun"), "voice", "audio/mp4"),
        (webm(pictures=True), "video", "video/webm"),
        (webm(), "voice", "audio/webm"),
        (webm(sized=False), "voice", "audio/webm"),
        (ogg(), "voice", "audio/ogg"),
        (mp3(), "voice", "audio/mpeg"),
        (mp3(told=True), "voice", "audio/mpeg"),
        (amr(), "voice", "audio/amr"),
        (PLAIN_PDF, "document", "application/pdf"),
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
     b"\xff\xfb\x18\x00" + bytes(99), box(b"ftyp", b"heic" + bytes(4))],
)  # fmt: skip
def test_what_is_neither_clip_nor_document(content: bytes) -> None:
    assert media_of(content) is None


def taken_in(content: bytes) -> bytes:
    media = media_of(content)
    assert media is not None
    return cleaned(content, media)[0]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (film()[:-5], "evidence.broken_clip"),
        (film() + b"<script>", "evidence.broken_clip"),
        (box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", bytes(9)), "evidence.broken_clip"),
        (PLAIN_PDF[:-8], "evidence.broken_document"),
        (PLAIN_PDF, "evidence.broken_document"),
        (pdf(password="1"), "evidence.document_locked"),
        # Magic bytes and nothing behind them.
        (b"OggS" + bytes(50), "evidence.broken_clip"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "evidence.broken_clip"),
        (b"\x1a\x45\xdf\xa3" + b"webm" + b"V_VP9", "evidence.broken_clip"),
        (b"ID3\3\0\0\0\0\0\1x<script>alert(1)</script>", "evidence.broken_clip"),
        (b"#!AMR\n<script>alert(1)</script>", "evidence.broken_clip"),
        # Sound that is cut off, changed on the way, or goes on as something else.
        (ogg()[:-3], "evidence.broken_clip"),
        (ogg().replace(HELLO, HELLO.upper()), "evidence.broken_clip"),
        (amr() + b"<script>", "evidence.broken_clip"),
        (webm() + b"<script>", "evidence.broken_clip"),
    ],
)
def test_a_broken_file_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        taken_in(content)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (telling_film(), {"lat": 39.5, "lon": 116.25, "Make": "Maker", "Model": "Phone 7",
                          "Created": "2025-12-31T04:26:40+00:00"}),
        (webm(told=True), {"Title": "Wang Wu at home", "LOCATION": "+39.5000+116.2500+050.000/"}),
        (webm(told=True, sized=False), {"Title": "Wang Wu at home"}),
        (ogg("ARTIST=Wang Wu", "LOCATION=39.5,116.25"), {"ARTIST": "Wang Wu"}),
        (ogg("ARTIST=Wang Wu " + "x" * 700), {}),
        (mp3(told=True), {"Author": "Wang Wu"}),
    ],
    ids=["film", "webm", "endless webm", "ogg", "long ogg", "mp3"],
)  # fmt: skip
def test_clips_lose_what_they_say_of_themselves(content: bytes, told: dict[str, object]) -> None:
    media = media_of(content)
    assert media is not None
    fresh, notes = cleaned(content, media)
    assert {name: notes.get(name) for name in told} == told
    assert notes["sent_sha256"] == hashlib.sha256(content).hexdigest()
    assert notes["taken_out"]
    for secret in (b"Wang Wu", b"39.5", b"Phone 7", b"Maker"):
        assert secret not in fresh
    # Pictures and sound stay as they were, and the file is what it was.
    assert HELLO in fresh or media.ending == "mp3"
    assert media_of(fresh) == media
    assert cleaned(fresh, media)[0] == fresh
    if media.ending != "mp3":
        assert len(fresh) == len(content)


@pytest.mark.parametrize("content", [film(), webm(), webm(sized=False), mp3(), amr()])
def test_what_says_nothing_of_itself_says_nothing(content: bytes) -> None:
    media = media_of(content)
    assert media is not None
    fresh, notes = cleaned(content, media)
    assert set(notes) <= {"sent_sha256", "Created"}
    assert len(fresh) == len(content)


def test_a_document_loses_what_it_says_of_itself() -> None:
    content = pdf()
    media = media_of(content)
    assert media is not None
    fresh, notes = cleaned(content, media)
    assert notes["Author"] == "Wang Wu"
    assert {"Info", "Metadata", "Exif", "OpenAction"} <= set(notes["taken_out"])
    with pikepdf.open(io.BytesIO(fresh)) as read:
        assert (len(read.pages), len(read.docinfo)) == (1, 0)
        assert "/Metadata" not in read.Root
        assert "/OpenAction" not in read.Root
        raw = read.pages[0].Resources.XObject.Im0.read_raw_bytes()
    assert raw.startswith(b"\xff\xd8")
    assert b"Phone 7" not in raw
    # Any change would break a signature: a signed one stays what it is, and says so.
    signed = pdf(signed=True)
    kept, said = cleaned(signed, media)
    assert kept == signed
    assert (said["signed"], said["in_file"]) == (True, True)


def test_hostile_files_are_refused_or_cleaned_and_never_break_the_server() -> None:
    """Bytes changed, cut and doubled at random from a seed."""
    dice, codes = random.Random(4), set[str]()
    seeds = [telling_film(), webm(told=True), webm(sized=False), ogg("A=b"), mp3(told=True), amr()]
    for seed in seeds:
        for _ in range(150):
            content = bytearray(seed)
            for _ in range(dice.randint(1, 6)):
                content[dice.randrange(len(content))] = dice.choice([0, 1, 127, 128, 254, 255])
            if dice.random() < 0.3:
                del content[dice.randrange(len(content)) :]
            codes.add(outcome(bytes(content)))
    assert codes <= {"", "evidence.broken_clip", "evidence.broken_document"}


def outcome(content: bytes) -> str:
    """The code of the refusal; none where it is cleaned or left to others."""
    try:
        media = media_of(content)
        if media is not None:
            cleaned(content, media)
    except BadInput as refused:
        return refused.code
    return ""


def test_a_table_that_lies_about_its_length_is_no_bomb() -> None:
    samples = (40, HELLO)
    lying = track(b"meta", samples).replace(
        b"stsc" + bytes(4) + b"\0\0\0\1" + b"\0\0\0\1" + b"\0\0\0\1",
        b"stsc" + bytes(4) + b"\0\0\0\1" + b"\0\0\0\1" + b"\xff\xff\xff\xff",
    )
    content = box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", HELLO) + box(b"moov", track(b"vide") + lying)  # fmt: skip
    media = media_of(content)
    assert media is not None
    assert len(cleaned(content, media)[0]) == len(content)
