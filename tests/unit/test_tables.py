"""Long tables in pieces: every cell comes out as it went in, and a half file is never left behind."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli.tables import Writer, csv_bytes, joined, numbers, pieces, texts
from grid.core.errors import BadInput, NotFound

CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters='",\n')
).map(str.strip)


def copied(source: Path, target: Path, rows: int) -> None:
    with Writer(target) as writer:
        for piece in pieces(source, (), rows):
            writer.write(writer.printer.printed(piece.table), piece.table)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12))
def test_a_row_printed_is_the_row_that_the_csv_module_reads(
    rows: list[tuple[str, str, str]],
) -> None:
    table = pa.table({name: [row[k] for row in rows] for k, name in enumerate("abc")})
    assert list(csv.reader(io.StringIO(csv_bytes(table).decode(), newline=""))) == [
        list(row) for row in rows
    ]


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_pieces_put_together_are_the_file(tmp_path: Path, ending: str, encoding: str) -> None:
    rows = [["编号", "地址", "备注"]]
    rows += [[f"{k:03d}", f"东风路{k}号", "NA" if k % 3 else '一,二\n"三"'] for k in range(23)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode(encoding)
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    source.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    assert [len(p.table) for p in pieces(source, ("地址",), 10)] == [10, 10, 3]
    assert [p.share for p in pieces(source, (), 10)][-1] == 1.0
    copied(source, target, 10)
    written = target.read_bytes()
    written = gzip.decompress(written) if ending.endswith("gz") else written
    assert list(csv.reader(io.StringIO(written.decode(), newline=""))) == rows
    assert sorted(p.name for p in tmp_path.iterdir()) == [source.name, target.name]


def test_a_table_without_rows_keeps_its_names(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,b\n")
    copied(tmp_path / "in.csv", tmp_path / "out.csv", 10)
    assert (tmp_path / "out.csv").read_text() == "a,b\n"
    pd.DataFrame({"a": pd.array([], dtype="Int64")}).to_parquet(tmp_path / "in.parquet")
    copied(tmp_path / "in.parquet", tmp_path / "out.parquet", 10)
    assert pd.read_parquet(tmp_path / "out.parquet").columns.tolist() == ["a"]


def test_parquet_keeps_its_types_though_the_first_piece_is_empty_of_values(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([None, None, 3, 2**53 + 1], dtype="Int64"),
            "at": pd.to_datetime(["2025-06-04T09:00:00+08:00"] * 4),
            "tags": [["a"], None, [], ["b", "c"]],
        }
    )
    frame.to_parquet(tmp_path / "in.parquet")
    copied(tmp_path / "in.parquet", tmp_path / "out.parquet", 2)
    found = pa.parquet.read_table(tmp_path / "out.parquet")
    assert found.equals(pa.parquet.read_table(tmp_path / "in.parquet"))
    copied(tmp_path / "in.parquet", tmp_path / "out.csv", 2)
    assert pd.read_csv(tmp_path / "out.csv", dtype=str)["n"].tolist()[2:] == [
        "3",
        "9007199254740993",
    ]


def test_columns_of_ours_never_hide_theirs() -> None:
    theirs = pa.table({"lon": ["1"], "lon_in": ["2"], "x": ["3"]})
    both = joined(theirs, pa.table({"lon": [4.0], "reason": ["r"]}))
    assert both.to_pylist() == [
        {"lon_in_in": "1", "lon_in": "2", "x": "3", "lon": 4.0, "reason": "r"}
    ]


def test_numbers_are_read_from_text_and_the_rest_is_none() -> None:
    table = pa.table({"a": ["1.5", None, "x", " 2 "], "b": [1, None, 3, 4]})
    assert [None if v != v else v for v in numbers(table, "a").tolist()] == [1.5, None, None, 2.0]
    assert numbers(table, "b")[2] == 3
    assert texts(table, "b") == ["1", None, "3", "4"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        next(pieces(tmp_path / "no.csv", (), 10))
    assert missing.value.code == "import.file_missing"
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput) as field:
        next(pieces(tmp_path / "a.csv", ("lon",), 10))
    assert (field.value.code, field.value.values["known"]) == ("import.field_missing", "a, b")
    for name, data in {
        "a.parquet": b"nothing",
        "b.csv": b"",
        "c.csv": b"\xff\xfe\x00\x81,1\n",
        "d.csv": b"a,b\n1,2\n1,2,3,4\n",
        "e.csv.gz": b"plain",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput) as unreadable:
            list(pieces(tmp_path / name, (), 10))
        assert unreadable.value.code == "import.unreadable"


def _written_and_failed(writer: Writer, table: pa.Table) -> None:
    writer.write(writer.printer.printed(table), table)
    raise pa.ArrowInvalid("later")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_run_that_fails_leaves_the_old_file_alone(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    target.write_bytes(b"old")
    table = pa.table({"a": ["1"]})
    with pytest.raises(pa.ArrowInvalid), Writer(target) as writer:
        _written_and_failed(writer, table)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [target.name]
    with pytest.raises(BadInput) as refused, Writer(tmp_path / "no" / "out.csv"):
        pass
    assert refused.value.code == "export.folder_missing"
