"""Small clips, recordings and documents made byte by byte by the rules of their formats, with notes to be taken out."""

from __future__ import annotations

import io
import struct

import pikepdf
from PIL import Image

from dispatch.recordings import _checksum as ogg_checksum

PLACE = "+39.5000+116.2500+050.000/"
HELLO = b"pictures and sound"


def box(name: bytes, content: bytes = b"") -> bytes:
    return (len(content) + 8).to_bytes(4) + name + content


def track(handler: bytes, samples: tuple[int, bytes] | None = None) -> bytes:
    """A track with its head; `samples`: where its one chunk of one sample lies, and the sample."""
    table = b""
    if samples is not None:
        at, held = samples
        table = box(b"minf", box(b"stbl", b"".join((
            box(b"stsc", bytes(4) + struct.pack(">IIII", 1, 1, 1, 1)),
            box(b"stsz", bytes(4) + struct.pack(">III", 0, 1, len(held))),
            box(b"stco", bytes(4) + struct.pack(">II", 1, at)),
        ))))  # fmt: skip
    head = box(b"hdlr", bytes(8) + handler + bytes(12))
    made = box(b"mdhd", bytes(4) + struct.pack(">II", 3_850_000_000, 3_850_000_001) + bytes(12))
    return box(
        b"trak",
        box(b"tkhd", bytes(4) + struct.pack(">II", 7, 8)) + box(b"mdia", made + head + table),
    )


def film(brand: bytes = b"isom", handler: bytes = b"vide", data: bytes = bytes(100)) -> bytes:
    """A film, or a recording where the handler is `soun`, without any note."""
    return box(b"ftyp", brand + bytes(4)) + box(b"mdat", data) + box(b"moov", track(handler))


def telling_film(brand: bytes = b"qt  ", secret: bytes = b"GPS 39.5 116.25") -> bytes:
    """A telephone's film: its place in both ways, its maker, and a track that writes the place of every second."""
    ftyp = box(b"ftyp", brand + bytes(4))
    data = HELLO + secret
    begins = len(ftyp) + 8
    xyz = box(b"\xa9xyz", struct.pack(">HH", len(PLACE), 0) + PLACE.encode())
    key = b"com.apple.quicktime.model"
    apple = box(b"meta", b"".join((
        box(b"hdlr", bytes(8) + b"mdta" + bytes(12)),
        box(b"keys", bytes(4) + struct.pack(">I", 1) + box(b"mdta", key)),
        box(b"ilst", box(b"\0\0\0\1", box(b"data", struct.pack(">II", 1, 0) + b"Phone 7"))),
    )))  # fmt: skip
    mvhd = box(b"mvhd", bytes(4) + struct.pack(">II", 3_850_000_000, 3_850_000_001) + bytes(20))
    moov = box(b"moov", b"".join((
        mvhd, track(b"vide", (begins, HELLO)), track(b"meta", (begins + len(HELLO), secret)),
        box(b"udta", xyz + box(b"\xa9mak", struct.pack(">HH", 5, 0) + b"Maker")), apple,
    )))  # fmt: skip
    return (
        ftyp
        + box(b"mdat", data)
        + moov
        + box(b"uuid", bytes(16) + b"<x:xmpmeta>Wang Wu</x:xmpmeta>")
    )


def element(identity: int, content: bytes, *, sized: bool = True) -> bytes:
    name = identity.to_bytes((identity.bit_length() + 7) // 8)
    size = (1 << 56 | len(content)).to_bytes(8) if sized else b"\x01" + b"\xff" * 7
    return name + size + content


def webm(*, pictures: bool = False, sized: bool = True, told: bool = False) -> bytes:
    """A browser's recording; `sized` False: without lengths, as it is made while one speaks; `told`: with notes."""
    kind, codec = (1, b"V_VP9") if pictures else (2, b"A_OPUS")
    name = element(0x536E, b"Wang Wu's phone") if told else b""
    one = element(
        0xAE, element(0xD7, b"\1") + element(0x83, bytes([kind])) + name + element(0x86, codec)
    )
    info = (
        element(0x2AD7B1, b"\x0f\x42\x40") + element(0x4D80, b"Chrome") + element(0x5741, b"Chrome")
    )
    notes = b""
    if told:
        info += element(0x7BA9, b"Wang Wu at home") + element(0x4461, bytes(8))
        simple = element(0x67C8, element(0x45A3, b"LOCATION") + element(0x4487, PLACE.encode()))
        notes = element(0x1254C367, element(0x7373, simple))
    cluster = element(
        0x1F43B675, element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80" + HELLO), sized=sized
    )
    whole = element(0x1549A966, info) + element(0x1654AE6B, one) + cluster + notes
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, whole, sized=sized)


def ogg(*comments: str) -> bytes:
    """An Opus recording with comments NAME=VALUE."""
    held = b"".join(len(c.encode()).to_bytes(4, "little") + c.encode() for c in comments)
    tags = (
        b"OpusTags"
        + (4).to_bytes(4, "little")
        + b"made"
        + len(comments).to_bytes(4, "little")
        + held
    )
    head = b"OpusHead\1\1" + bytes(9)
    return b"".join(
        _page(number, packet, flags)
        for number, (packet, flags) in enumerate(((head, 2), (tags, 0), (HELLO, 4)))
    )


def _page(number: int, packet: bytes, flags: int) -> bytes:
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    head = b"OggS\0" + bytes([flags]) + bytes(8) + b"\7\0\0\0" + number.to_bytes(4, "little")
    page = head + bytes(4) + bytes([len(lacing)]) + lacing + packet
    return page[:22] + ogg_checksum(page) + page[26:]


def mp3(*, told: bool = False) -> bytes:
    """Four frames of MPEG-1 layer III at 32 kbit/s and 32,000 Hz (144 bytes each), with ID3 tags on both ends."""
    frames = (b"\xff\xfb\x18\x00" + bytes(140)) * 4
    if not told:
        return frames
    text = b"\3Wang Wu"
    frame = b"TPE1" + len(text).to_bytes(4) + bytes(2) + text
    head = b"ID3\3\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    return head + frames + (b"TAG" + b"Wang Wu" + bytes(118))


def amr() -> bytes:
    """Three frames of 12.2 kbit/s (31 bytes each)."""
    return b"#!AMR\n" + (b"\x3c" + bytes(31)) * 3


def pdf(*, password: str = "", signed: bool = False) -> bytes:
    """A scanned page with an author, XMP, and a photograph that knows its place."""
    picture = Image.new("RGB", (8, 8), "teal")
    exif = picture.getexif()
    exif[0x0110] = "Phone 7"
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", exif=exif)
    made = pikepdf.new()
    made.add_blank_page()
    made.docinfo["/Author"] = "Wang Wu"
    with made.open_metadata(set_pikepdf_as_editor=False) as xmp:
        xmp["dc:creator"] = ["Wang Wu"]
    scan = made.make_stream(jpeg.getvalue())
    scan.Type, scan.Subtype = pikepdf.Name("/XObject"), pikepdf.Name("/Image")
    scan.Filter, scan.Width, scan.Height = pikepdf.Name("/DCTDecode"), 8, 8
    scan.ColorSpace, scan.BitsPerComponent = pikepdf.Name("/DeviceRGB"), 8
    made.pages[0].Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=scan))
    made.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name("/JavaScript"), JS="app.alert(1)")
    if signed:
        field = pikepdf.Dictionary(FT=pikepdf.Name("/Sig"), V=pikepdf.Dictionary(), T="s")
        made.Root.AcroForm = pikepdf.Dictionary(Fields=[made.make_indirect(field)], SigFlags=3)
    out = io.BytesIO()
    made.save(out, encryption=pikepdf.Encryption(user=password, owner="o") if password else None)
    return out.getvalue()
