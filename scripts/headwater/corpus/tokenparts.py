"""The `.bin` files of a source of tokens: their names, order and sizes.

A large `.bin` may be cut into `<stem>-00000-of-00020.bin` and so on, which one after
the other are the whole; a row may then lie across two of them. Read while rules are
parsed, so it imports little and opens no file.
"""

import re
from collections.abc import Sequence

from headwater.errors import HeadwaterError
from headwater.net.places import base_name

PART_NAME = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<last>\d{5})\.bin")
ITEM_BYTES = 2  # of a token, uint16


def check_sizes(names: Sequence[str], sizes: Sequence[int], row: int) -> int:
    """Whole rows, of `row` bytes each, in files that are one after the other the whole.

    Raises:
        HeadwaterError: the bytes are no multiple of a row, though all files are there.
    """
    total = sum(sizes)
    found = PART_NAME.fullmatch(base_name(names[-1]))
    complete = found is None or found["index"] == found["last"]
    if complete and total % row:
        raise HeadwaterError(
            f"{names[-1]}: {total:,} bytes in all are no whole number of rows of "
            f"{row:,} bytes (corpus.seq_len + 1 tokens); check corpus.seq_len, or "
            "copy the files again"
        )
    return total // row


def part_order(place: str, names: Sequence[str]) -> list[str]:
    """The `.bin` files of a place in the order of their bytes.

    Raises:
        HeadwaterError: none, several that do not belong together, or a gap in the
            numbering.
    """
    bins = sorted(name for name in names if base_name(name).endswith(".bin"))
    if not bins:
        raise HeadwaterError(f"{place}: no .bin file there")
    found = [PART_NAME.fullmatch(base_name(name)) for name in bins]
    if len(bins) == 1 and not found[0]:
        return bins
    if not all(found) or len({match["stem"] for match in found if match}) != 1:
        few = ", ".join(map(base_name, bins[:3])) + (", ..." if len(bins) > 3 else "")
        raise HeadwaterError(
            f"{place}: several .bin files there ({few}); name one of them"
        )
    for number, match in enumerate(found):
        if match and int(match["index"]) != number:
            raise HeadwaterError(
                f"{place}: shard {number:05d} is missing before {match[0]}; all shards "
                "up to the last one needed must be there"
            )
    return bins


def parts_after(place: str) -> list[str]:
    """A file, and the parts that come after it if it is the first of some."""
    name = base_name(place)
    found = PART_NAME.fullmatch(name)
    if found is None or int(found["index"]) != 0:
        return [place]
    numbers = range(int(found["last"]) + 1)
    names = [f"{found['stem']}-{i:05d}-of-{found['last']}.bin" for i in numbers]
    return [place.replace(name, part) for part in names]


def whole_name(bin_name: str) -> str:
    """The whole that a `.bin` file is, or is a part of: its name, without folders."""
    name = base_name(bin_name)
    found = PART_NAME.fullmatch(name)
    return f"{found['stem']}.bin" if found else name


def index_name(bin_name: str) -> str:
    """Where the index of a `.bin` file, or of the whole it is a part of, stands."""
    before, _, after = bin_name.rpartition(base_name(bin_name))
    return f"{before}{whole_name(bin_name).removesuffix('.bin')}.idx{after}"
