"""One PDF on the way in, cleaned in a process of its own: whatever a hostile file makes of it, the server goes on.

Reads the document from stdin, writes a line of JSON (the notes) and the cleaned document to stdout. Ends with LOCKED where a
password is needed and BROKEN where it cannot be read. Imports nothing of ours; started by `dispatch/documents.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
from typing import Any

LOCKED, BROKEN = 3, 4
_CPU_SECONDS, _MEMORY_BYTES = 20, 1 << 30
_LONGEST = 100
_LEFT_OUT = ("/Metadata", "/PieceInfo", "/LastModified")
_AT_OPENING = ("/OpenAction", "/AA")


def main() -> int:
    """Cleans what comes in."""
    for kind, most in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY_BYTES)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    import pikepdf

    content = sys.stdin.buffer.read()
    try:
        notes, fresh = cleaned(content)
    except pikepdf.PasswordError:
        return LOCKED
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        return BROKEN
    sys.stdout.buffer.write(json.dumps(notes).encode() + b"\n" + fresh)
    return 0


def cleaned(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Notes and document. A signed one stays as it came: any change would break the signature."""
    import pikepdf

    with pikepdf.open(io.BytesIO(content)) as pdf:
        if _signed(pdf):
            return {"signed": True, "in_file": True}, content
        notes = _info(pdf)
        taken = {"Info"} if "/Info" in pdf.trailer else set()
        if taken:
            del pdf.trailer["/Info"]
        for thing in pdf.objects:
            if not isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
                continue
            for name in _LEFT_OUT:
                if name in thing:
                    del thing[name]
                    taken.add(name.strip("/"))
            if isinstance(thing, pikepdf.Stream) and thing.get("/Filter") == "/DCTDecode":
                _clean_picture(thing, taken)
        for name in _AT_OPENING:
            if name in pdf.Root:
                del pdf.Root[name]
                taken.add(name.strip("/"))
        if "/JavaScript" in pdf.Root.get("/Names", {}):
            del pdf.Root.Names["/JavaScript"]
            taken.add("JavaScript")
        out = io.BytesIO()
        pdf.save(out, fix_metadata_version=False, deterministic_id=True, encryption=False)
    return notes | ({"taken_out": sorted(taken)} if taken else {}), out.getvalue()


def _info(pdf: Any) -> dict[str, str]:
    """What the document says of itself: Author, Title, Creator, moments …"""
    found = pdf.trailer.get("/Info", {})
    return {
        str(name).strip("/"): "".join(c for c in str(value) if c.isprintable())[:_LONGEST]
        for name, value in list(found.items())[:20]
    }


def _signed(pdf: Any) -> bool:
    form = pdf.Root.get("/AcroForm", {})
    return any(
        field.get("/FT") == "/Sig" and "/V" in field for field in list(form.get("/Fields", []))
    )


def _clean_picture(stream: Any, taken: set[str]) -> None:
    """A scanned page is a photograph with its own notes: Exif, XMP and comments go, colours stay."""
    plain = without_notes(stream.read_raw_bytes())
    if plain is not None:
        stream.write(plain, filter=stream["/Filter"], decode_parms=stream.get("/DecodeParms"))
        taken.add("Exif")


def without_notes(jpeg: bytes) -> bytes | None:
    """A JPEG without Exif, XMP and comments; None where it has none of them, or is none."""
    kept, at, changed = [jpeg[:2]], 2, False
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1 : at + 2] not in (b"\xda", b"\xd9", b""):
        marker, end = jpeg[at + 1], at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if end < at + 4 or end > len(jpeg):
            return None
        # APP0 (JFIF), APP2 (colour profile) and APP14 (Adobe) say how to read the picture.
        if marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in (0xE0, 0xE2, 0xEE)):
            changed = True
        else:
            kept.append(jpeg[at:end])
        at = end
    if not jpeg.startswith(b"\xff\xd8") or not changed:
        return None
    return b"".join(kept) + jpeg[at:]


if __name__ == "__main__":
    sys.exit(main())
