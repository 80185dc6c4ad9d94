"""The page of keys by purpose has every key of the schema, and no other."""

import re
from pathlib import Path

from headwater.config.schema import load_schema
from test_config import entries

PAGE = Path(__file__).parents[1] / "docs/config-by-purpose.md"
KEY = re.compile(r"`(\.?[a-z_]+(?:\.(?:<name>|[a-z_]+))*)(?:: \w+)?`")


def keys_of(page: str) -> set[str]:
    """Keys of its tables; one that begins with a dot is beside the last whole one."""
    found, last = set(), ""
    for line in page.splitlines():
        for key in KEY.findall(line.rpartition(" | ")[2]) if "| " in line else ():
            last = f"{last.rpartition('.')[0]}{key}" if key.startswith(".") else key
            found.add(last)
    return found


def test_every_key_has_a_purpose_and_every_key_exists() -> None:
    known = dict(entries(load_schema()))
    wanted = {
        key
        for key, entry in known.items()
        if entry["type"] != "object" or key.startswith("study.models")
    }
    listed = keys_of(PAGE.read_text(encoding="utf-8"))
    assert wanted - listed == set(), "keys that docs/config-by-purpose.md lacks"
    assert listed - wanted == set(), "keys of docs/config-by-purpose.md that are none"


def test_a_key_with_a_dot_is_of_the_section_of_the_one_before() -> None:
    page = "| x | `a.b.one`, `.two`; `c.<name>.rows: top`, `.draws` |\n"
    found = keys_of(page)
    assert found == {"a.b.one", "a.b.two", "c.<name>.rows", "c.<name>.draws"}
