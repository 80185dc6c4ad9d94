"""Tables of results as tab-separated text, in which every name comes back as it was.

A domain is called what the training data calls it: `NA`, `01`, or two lines of text. So
columns of names are text whatever they look like, and only an empty field is missing. A
table that ends after its header has nothing to list.
"""

import csv
from pathlib import Path

import pandas as pd

from headwater.errors import HeadwaterError, again
from headwater.publish import write_text

# Columns of names. (`rows` is a number in some tables, and a kind of rows in others.)
_NAMES = ("action", "arm", "domain", "head", "kind", "metric", "name", "onset")
_TEXT = dict.fromkeys((*_NAMES, "target", "variant"), str)


def table_text(table: pd.DataFrame) -> str:
    """A table as tab-separated text with a header; missing values are empty fields."""
    text = str(table.to_csv(sep="\t", index=False))
    if "\r" not in text:
        return text
    # A name with a lone carriage return would end its line: only this mode quotes it.
    return str(table.to_csv(sep="\t", index=False, quoting=csv.QUOTE_NONNUMERIC))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Publish a table whole, for `read_table`."""
    write_text(path, table_text(table))


def read_table(path: Path) -> pd.DataFrame:
    """Read a tab-separated table; names are text, empty fields missing values.

    Raises:
        HeadwaterError: no table can be read from the file.
    """
    try:
        return pd.read_csv(
            path, sep="\t", keep_default_na=False, na_values=[""], converters=_TEXT
        )
    except (OSError, ValueError) as error:
        raise HeadwaterError(
            f"{path}: not a readable table ({error}); {again(path)}"
        ) from error
