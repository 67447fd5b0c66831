"""One column of addresses, taken apart as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.sources.vector import read_addresses
from grid.sources.written_addresses import split_address


@pytest.mark.parametrize(
    ("written", "street", "number"),
    [
        ("150 SECOND ST", "SECOND ST", "150"),
        ("12-14 Main St", "Main St", "12-14"),
        ("12A Charles St", "Charles St", "12A"),
        ("7 1/2 Story St", "Story St", "7 1/2"),
        ("Hauptstrasse 12", "Hauptstrasse", "12"),
        ("Rue de la Gare 4b", "Rue de la Gare", "4b"),
        ("永胜路12号", "永胜路", "12"),
        ("信義路三段100號", "信義路三段", "100"),
        ("朝阳街15号附2号", "朝阳街", "15号附2"),
        ("永安街５１号", "永安街", "５１"),
        ("Second St", None, None),
        ("县人民医院", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_street_and_number_are_taken_apart(
    written: str | None, street: str | None, number: str | None
) -> None:
    assert split_address(written) == (street, number)


def test_a_file_with_one_address_column_is_read(shared_data: Path) -> None:
    plates, refused = read_addresses(shared_data / "us-cambridge/parcel-addresses-fy2014.csv.gz")
    first = plates.iloc[0]
    assert (first["street"], first["house_number"]) == ("SECOND ST", "150")
    assert len(plates) + len([item for item in refused if not item.kept]) == 13_209
    assert len(plates) > 0.97 * 13_209
