"""Tables on disk: names come back as they were, and absence is no name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.report.tables import read_tables
from headwater.tables import read_table, write_table

LIKE_NOTHING = [
    "NA",
    "null",
    "None",
    "nan",
    "NaN",
    "-nan",
    "N/A",
    "<NA>",
    "#N/A",
    "n/a",
]
LIKE_NUMBERS = [
    "1",
    "01",
    "1e3",
    "-0",
    "0x10",
    "inf",
    "True",
    "1_000",
    "1,5",
    "2024-01-01",
]
BROKEN = [
    "\r",
    "a\rb",
    "\r\n",
    "a\tb",
    "\n",
    '"',
    '""',
    "'",
    " ",
    "  a ",
    "\\t",
    "\x00",
]
# Any text that UTF-8 can hold.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def round_trip(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    write_table(folder / "table.tsv", table)
    return read_table(folder / "table.tsv")


@pytest.mark.parametrize("names", [LIKE_NOTHING, LIKE_NUMBERS, BROKEN])
def test_a_domain_may_have_any_name(tmp_path: Path, names: list[str]) -> None:
    values = np.where(np.arange(len(names)) % 2, np.nan, 0.1)
    table = pd.DataFrame({"domain": names, "share": values, "name": names})
    pd.testing.assert_frame_equal(
        round_trip(tmp_path, table).astype({"domain": object, "name": object}),
        table.astype({"domain": object, "name": object}),
    )


@settings(max_examples=60, derandomize=True, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=4))
def test_any_names_come_back(tmp_path_factory, names: list[str]) -> None:
    table = pd.DataFrame({"rank": range(len(names)), "domain": names})
    found = round_trip(tmp_path_factory.mktemp("names"), table)
    assert found["domain"].tolist() == names
    assert found["rank"].tolist() == [*range(len(names))]


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.domains.tsv").write_text("domain\tenrichment\nNA\t\nnan\t1.0\n")
    (table,) = read_tables([tmp_path / "a.domains.tsv"], ".domains.tsv").values()
    assert table["domain"].tolist() == ["NA", "nan"]
    assert table["enrichment"].isna().tolist() == [True, False]


def test_plain_tables_are_plain_text(tmp_path: Path) -> None:
    write_table(tmp_path / "a.tsv", pd.DataFrame({"domain": ["a b"], "x": [np.nan]}))
    assert (tmp_path / "a.tsv").read_bytes() == b"domain\tx\na b\t\n"


def test_a_table_may_have_no_lines(tmp_path: Path) -> None:
    found = round_trip(tmp_path, pd.DataFrame({"domain": [], "rows": []}))
    assert list(found.columns) == ["domain", "rows"]
    assert found.empty


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_what_is_no_table_is_one_line_for_people(tmp_path: Path, content) -> None:
    path = tmp_path / "scores.tsv"
    path.write_bytes(content)
    with pytest.raises(HeadwaterError, match=r"scores\.tsv: not a readable table"):
        read_table(path)
