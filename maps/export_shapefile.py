"""Shapefiles in a zip: points without GDAL, which is 30 MB by itself; lines and areas with it."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from pyproj import CRS

from maps.dictionary import columns_of
from maps.export_formats import Job, about, renamed
from maps.point_shapes import LONGEST_TEXT, write_parts

LONGEST_NAME = 10


def write_shapefile(job: Job) -> None:
    """A zip of .shp, .shx, .dbf, .prj, .cpg and a readme that tells which short name stands for which column."""
    folder = Path(tempfile.mkdtemp(prefix=".shp-", dir=job.file.parent))
    name = job.layer.name
    try:
        short = short_names([column for column in job.batches.schema.names if column != "geom"])
        with zipfile.ZipFile(job.file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            packed.writestr("README.txt", _readme(job, short))
            if job.layer.geometry == "Point":
                write_parts(renamed(job, short).batches, folder, name, packed)
                packed.writestr(f"{name}.cpg", "UTF-8")
                packed.writestr(
                    f"{name}.prj", CRS.from_user_input(job.target.wkt).to_wkt("WKT1_ESRI")
                )
                return
            from maps import export_gdal

            export_gdal.write_shapes(job, folder, short)
            for part in sorted(folder.iterdir()):
                packed.write(part, part.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def short_names(columns: list[str]) -> dict[str, str]:
    """Names of at most ten characters, no two alike whatever the case: column → short name."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for column in columns:
        short, number = column[:LONGEST_NAME], 0
        while short.lower() in taken:
            number += 1
            short = f"{column[: LONGEST_NAME - len(str(number))]}{number}"
        taken.add(short.lower())
        found[column] = short
    return found


def _readme(job: Job, short: dict[str, str]) -> str:
    told = {entry.column: entry for entry in columns_of(job.layer, with_names=job.with_names)}
    lines = [
        f"{job.layer.zh} · {job.layer.en}",
        about(job),
        f"坐标系 CRS: {job.target.name}    编码 Encoding: UTF-8",
        f"文本最长 {LONGEST_TEXT} 字节，时刻为 UTC 文本。",
        f"Texts hold at most {LONGEST_TEXT} bytes; moments are text in UTC, flags 1 and 0.",
        "",
        "short name · column · 中文 · English",
        *(
            f"{name} · {column} · {told[column].zh} · {told[column].en}"
            for column, name in short.items()
        ),
    ]
    return "\r\n".join(lines) + "\r\n"
