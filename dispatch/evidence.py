"""Photographs: checked by content, re-encoded without their metadata, kept under their hash. Voice notes: as they came."""

from __future__ import annotations

import hashlib
import io
import struct
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.models import Evidence
from grid.core.bulk import ewkt_point
from grid.core.errors import BadInput, NotFound

LONGEST_SIDE_PX = 2560
THUMBNAIL_PX = 320
MOST_PIXELS = 80_000_000
# A phone's MPO (several pictures in one) is opened by Pillow as the JPEG it begins with.
FORMATS = ("JPEG", "PNG", "WEBP")
# Whatever a broken or hostile file makes Pillow raise means the same: not a photograph.
BROKEN = (
    *(UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, EOFError),
    *(ValueError, KeyError, IndexError, TypeError, struct.error),
)
# Recordings of phones by their first bytes: offset, bytes, media type, ending. Of what begins with ftyp only the
# brands of recordings: a telephone's HEIC pictures begin so too.
RECORDINGS = (
    (0, b"\x1a\x45\xdf\xa3", "audio/webm", "webm"),
    (0, b"OggS", "audio/ogg", "ogg"),
    *((4, b"ftyp" + brand, "audio/mp4", "m4a") for brand in (b"M4A", b"mp4", b"iso")),
    (0, b"ID3", "audio/mpeg", "mp3"),
    (0, b"#!AMR", "audio/amr", "amr"),
)
ENDINGS = {media_type: ending for _, _, media_type, ending in RECORDINGS}


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph or a voice note as it came: bytes, stage, lon/lat (WGS 84) if told, moment if told, the phone's own id."""

    content: bytes
    stage: str
    point: tuple[float, float] | None
    taken_at: datetime | None
    client_id: str | None


def keep_photo(
    session: Session,
    folder: Path,
    incident_id: int,
    number: str,
    photo: Photo,
    actor: str,
    now: datetime,
    *,
    voice: bool = False,
) -> int:
    """Keeps a photograph (or, where `voice` allows it, a voice note) and returns its id; the same `client_id` gives the same id.

    A voice note is of the stage `during`, whatever is said: no recording takes the place of a photograph.
    Raises BadInput `evidence.not_a_photo`, `evidence.too_many_pixels`, `evidence.client_id_reused`.
    """
    recorded = recording_type(photo.content) if voice else None
    stored = (
        store_photo(folder, photo.content)
        if recorded is None
        else store_voice(folder, photo.content, recorded)
    )
    lon, lat = photo.point or (None, None)
    made = session.scalar(
        insert(Evidence)
        .values(
            incident_id=incident_id,
            stage=photo.stage if recorded is None else "during",
            client_id=photo.client_id,
            **stored,
            actor=actor,
            point=ewkt_point(lon, lat),
            taken_at=photo.taken_at,
            received_at=now,
        )
        .on_conflict_do_nothing(index_elements=["client_id"])
        .returning(Evidence.id)
    )
    if made is not None:
        return int(made)
    known = session.execute(
        select(Evidence.id, Evidence.incident_id).where(Evidence.client_id == photo.client_id)
    ).one()
    if known.incident_id != incident_id:
        raise BadInput("evidence.client_id_reused", field="client_id", number=number)
    return int(known.id)


def store_photo(folder: Path, given: bytes) -> dict[str, Any]:
    """Puts a photograph into the store under its hash: columns sha256, media_type, size_bytes.

    Raises BadInput `evidence.not_a_photo`, `evidence.too_many_pixels`.
    """
    return _store(folder, _clean_jpeg(given), "image/jpeg")


def recording_type(content: bytes) -> str | None:
    """The media type of a recording by its first bytes, or None."""
    for offset, sign, media_type, _ in RECORDINGS:
        if content[offset : offset + len(sign)] == sign:
            return media_type
    return None


def store_voice(folder: Path, given: bytes, media_type: str) -> dict[str, Any]:
    """Puts a recording into the store under its hash, unchanged: columns as `store_photo`."""
    return _store(folder, given, media_type)


def _store(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    path = _path(folder, digest, media_type)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and moved into place: a killed process leaves no half file.
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new", delete=False) as fresh:
            fresh.write(content)
        Path(fresh.name).replace(path)
    return {"sha256": digest, "media_type": media_type, "size_bytes": len(content)}


def photo_file(
    session: Session, folder: Path, incident_id: int, evidence_id: int, size: str
) -> tuple[Path, str]:
    """Path and media type of a photograph, `full` or `thumbnail`; NotFound `evidence.unknown`, `evidence.file_missing`."""
    row = session.execute(
        select(Evidence.sha256, Evidence.media_type).where(
            Evidence.id == evidence_id, Evidence.incident_id == incident_id
        )
    ).one_or_none()
    if row is None:
        raise NotFound("evidence.unknown", field="evidence_id")
    path = _path(folder, row.sha256, row.media_type)
    if not path.exists():
        raise NotFound("evidence.file_missing", field="evidence_id")
    if size == "full" or row.media_type in ENDINGS:
        return path, row.media_type
    small = path.with_name(f"{row.sha256}.small.jpg")
    if not small.exists():
        with Image.open(path) as image:
            image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
            fresh = small.with_suffix(".new")
            image.convert("RGB").save(fresh, "JPEG", quality=80)
            fresh.replace(small)
    return small, "image/jpeg"


def _clean_jpeg(content: bytes) -> bytes:
    """The picture upright, at most LONGEST_SIDE_PX, as JPEG without any metadata."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadInput("evidence.too_many_pixels", field="photo", most=MOST_PIXELS)
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except BROKEN as error:
        raise BadInput("evidence.not_a_photo", field="photo") from error
    upright.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    out = io.BytesIO()
    upright.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def _path(folder: Path, digest: str, media_type: str) -> Path:
    return folder / digest[:2] / f"{digest}.{ENDINGS.get(media_type, 'jpg')}"
