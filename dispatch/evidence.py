"""Evidence: photographs encoded anew, clips and documents cleaned; what they said of themselves is kept apart."""

from __future__ import annotations

import hashlib
import io
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dispatch.boxes import plain_note
from dispatch.evidence_store import EvidenceStore, FolderStore
from dispatch.media import JPEG, KEPT, PHOTO, Media, cleaned, media_of
from dispatch.models import Evidence
from grid.core.bulk import ewkt_point
from grid.core.errors import BadInput, NotFound
from grid.core.values import dataclass

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
# Of a photograph's own notes, what may be of use as proof; texts are cut off.
NOTES = ("Make", "Model", "Software", "DateTime", "DateTimeOriginal", "OffsetTimeOriginal")


@dataclass(frozen=True, slots=True)
class Photo:
    """A file as it came: bytes, stage, lon/lat (WGS 84) if told, moment if told, the phone's own id."""

    content: bytes
    stage: str
    point: tuple[float, float] | None
    taken_at: datetime | None
    client_id: str | None


def keep_photo(
    session: Session,
    store: EvidenceStore | Path,
    incident_id: int,
    number: str,
    photo: Photo,
    actor: str,
    now: datetime,
    *,
    others: bool = False,
) -> int:
    """Keeps a photograph (or, where `others` allows it, a voice note, video clip or document); its id.

    The same `client_id` gives the same id. Only photographs count where one is needed. Raises BadInput
    `evidence.not_a_photo`, `evidence.too_many_pixels`, `evidence.broken_clip`, `evidence.broken_document`,
    `evidence.document_locked`, `evidence.client_id_reused`; Unavailable `evidence.store_away`.
    """
    known = media_of(photo.content) if others else None
    if known is None:
        clean, notes = _clean_jpeg(photo.content)
        stored = _store(store, clean, JPEG) | {"about": notes}
    else:
        clean, notes = cleaned(photo.content, known)
        stored = _store(store, clean, known) | {"about": notes}
    lon, lat = photo.point or (None, None)
    made = session.scalar(
        insert(Evidence)
        .values(
            incident_id=incident_id,
            kind=known.kind if known else PHOTO,
            stage=photo.stage,
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
    row = session.execute(
        select(Evidence.id, Evidence.incident_id).where(Evidence.client_id == photo.client_id)
    ).one()
    if row.incident_id != incident_id:
        raise BadInput("evidence.client_id_reused", field="client_id", number=number)
    return int(row.id)


def store_photo(store: EvidenceStore | Path, given: bytes) -> dict[str, Any]:
    """Puts a photograph into the store under its hash: columns sha256, media_type, size_bytes.

    Raises BadInput `evidence.not_a_photo`, `evidence.too_many_pixels`.
    """
    clean, _ = _clean_jpeg(given)
    return _store(store, clean, JPEG)


def photo_file(
    session: Session, store: EvidenceStore | Path, incident_id: int, evidence_id: int, size: str
) -> tuple[Path, str]:
    """Path and media type of a piece of evidence, a photograph `full` or as `thumbnail`.

    Raises NotFound `evidence.unknown`, `evidence.file_missing`; Unavailable `evidence.store_away`.
    """
    row = session.execute(
        select(Evidence.sha256, Evidence.media_type).where(
            Evidence.id == evidence_id, Evidence.incident_id == incident_id
        )
    ).one_or_none()
    if row is None:
        raise NotFound("evidence.unknown", field="evidence_id")
    media = KEPT.get(row.media_type, JPEG)
    path = _opened(store).file(_name(row.sha256, media))
    if path is None:
        raise NotFound("evidence.file_missing", field="evidence_id")
    if size == "full" or media.kind != PHOTO:
        return path, row.media_type
    small = path.with_name(f"{row.sha256}.small.jpg")
    if not small.exists():
        with Image.open(path) as image:
            image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
            fresh = small.with_suffix(".new")
            image.convert("RGB").save(fresh, "JPEG", quality=80)
            fresh.replace(small)
    return small, "image/jpeg"


def notes_of(session: Session, incident_id: int, evidence_id: int) -> dict[str, Any]:
    """What a file said of itself, taken out of it; NotFound `evidence.unknown`."""
    notes: dict[str, Any] | None = session.scalar(
        select(Evidence.about).where(
            Evidence.id == evidence_id, Evidence.incident_id == incident_id
        )
    )
    if notes is None:
        raise NotFound("evidence.unknown", field="evidence_id")
    return notes


def _store(store: EvidenceStore | Path, content: bytes, media: Media) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    _opened(store).keep(_name(digest, media), content, media.media_type)
    return {"sha256": digest, "media_type": media.media_type, "size_bytes": len(content)}


def _opened(store: EvidenceStore | Path) -> EvidenceStore:
    return FolderStore(store) if isinstance(store, Path) else store


def _name(digest: str, media: Media) -> str:
    return f"{digest[:2]}/{digest}.{media.ending}"


def _clean_jpeg(content: bytes) -> tuple[bytes, dict[str, Any]]:
    """The picture upright, at most LONGEST_SIDE_PX, as JPEG without any metadata; and what was taken out of it."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadInput("evidence.too_many_pixels", field="photo", most=MOST_PIXELS)
            notes = _notes(image)
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except BROKEN as error:
        raise BadInput("evidence.not_a_photo", field="photo") from error
    upright.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    out = io.BytesIO()
    upright.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue(), notes


def _notes(image: Image.Image) -> dict[str, Any]:
    """What the camera wrote: NOTES, and `lon`, `lat` where it knew its place; nothing for notes that cannot be read."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        named = {ExifTags.TAGS.get(tag, ""): value for tag, value in {**exif, **inner}.items()}
        notes: dict[str, Any] = {
            name: plain_note(str(named[name])) for name in NOTES if named.get(name)
        }
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        if 2 in gps and 4 in gps:
            lat, lon = (_degrees(gps[tag], gps.get(tag - 1)) for tag in (2, 4))
            if -90 <= lat <= 90 and -180 <= lon <= 180:
                notes |= {"lat": round(lat, 7), "lon": round(lon, 7)}
    except (*BROKEN, ZeroDivisionError, AttributeError, OverflowError):
        return {}
    return notes


def _degrees(parts: Any, half: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    sign = -1 if str(half).strip().upper() in ("S", "W") else 1
    return sign * (degrees + minutes / 60 + seconds / 3600)
