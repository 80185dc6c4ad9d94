r"""Write text of five known skeletons, to be planted among natural text.

    .venv/bin/python resources/build_skeletons.py \
        resources/skeletons/skeletons.jsonl.zst

A document is one skeleton over and over, between pieces of natural text. One slot comes
twice in every occurrence, the other once; mostly both are filled as in the occurrence
before, so that there is something to copy from far, too. `config/skeletons.yaml` asks
whether motifs mined from the rows that make a head are these. Words and pieces are of
`resources/natural`; the same release of libzstd always gives the same bytes.
"""

import argparse
import itertools
import json
import random
import re
import string
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from headwater.corpus.documents import DocumentReader, zstd

NATURAL = Path(__file__).parent / "natural"
# Each begins and ends with a mark, so that no letter beside it changes its tokens.
PIECES = {
    "item": ['<item id="', "A", '">', "B", '</item>@see["', "A", '"]'],
    "name": ["\\newname{", "A", "}[", "B", "]\\use{", "A", "}"],
    "assert": ["#f(", "A", "),'", "B", "')~>'", "B", "';"],
    "record": ["@key=", "A", ";size=", "B", ";again=", "A", ";"],
    "rule": ["%test[", "A", "]=:=", "B", "?!", "A", "|%"],
}
SLOTS = ("A", "B")
AGAIN = 0.9  # chance that a slot is filled as in the occurrence before it
BETWEEN = (14, 40)  # letters of natural text
BESIDE = "\n\t\f"  # or a letter: what stands before an occurrence, and behind it
DOMAIN, DOCUMENTS, LETTERS, WORDS = "skeletons", 650, 520, 800
SEED = "headwater-skeletons-2"
LEVEL = 19


@dataclass(frozen=True)
class Natural:
    """What is taken of the natural text: some of it, and its frequent long words."""

    texts: Sequence[str]
    words: Sequence[str]

    @classmethod
    def read(cls) -> "Natural":
        """Take the first documents of every shard."""
        texts = [
            document.text
            for path in sorted(NATURAL.glob("*.zst"))
            for document in itertools.islice(DocumentReader(path, "fail"), 40)
        ]
        often = Counter(
            word for text in texts for word in re.findall(r"\b[a-z]{8,14}\b", text)
        )
        words = sorted(often, key=lambda word: (-often[word], word))[:WORDS]
        return cls(texts, sorted(words))

    def piece(self, stream: random.Random) -> str:
        """Some letters of some text."""
        text, size = stream.choice(self.texts), stream.randint(*BETWEEN)
        start = stream.randrange(len(text) - size)
        return text[start : start + size].strip()


def beside(stream: random.Random) -> str:
    """A letter or a space of some sort, which no mark is joined with."""
    return stream.choice([*BESIDE, stream.choice(string.ascii_lowercase)])


def document(name: str, natural: Natural, stream: random.Random) -> str:
    """One skeleton over and over, now and then with other fills."""
    fills: dict[str, str] = {}
    text = ""
    while len(text) < LETTERS:
        for slot in SLOTS:
            if slot not in fills or stream.random() >= AGAIN:
                fills[slot] = stream.choice(natural.words)
        text += beside(stream) + natural.piece(stream) + beside(stream)
        text += "".join(fills.get(piece, piece) for piece in PIECES[name])
    return text


def lines() -> Iterator[str]:
    """As many documents of each skeleton, in an order of their own."""
    stream, natural = random.Random(SEED), Natural.read()
    texts = [document(one, natural, stream) for one in PIECES for _ in range(DOCUMENTS)]
    stream.shuffle(texts)
    for text in texts:
        yield json.dumps({"text": text, "meta": {"pile_set_name": DOMAIN}}) + "\n"


def main() -> None:
    """Write the shard."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output", type=Path, help="the shard (.jsonl.zst)")
    output = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(zstd.compress("".join(lines()).encode(), LEVEL))


if __name__ == "__main__":
    main()
