"""Motifs as they are written: `catalysts/<target>.motifs.json`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64

from headwater.catalysts.contrast import Sample
from headwater.catalysts.motiffile import (
    FORMAT,
    PLAIN,
    SPACED,
    VOCABULARY,
    WORDS,
)
from headwater.catalysts.motifs import Motif, shortened, spelled
from headwater.catalysts.shapes import SPACED as SPACED_TOKEN
from headwater.catalysts.shapes import as_shapes
from headwater.catalysts.skeleton import Fixed

EXAMPLES = 3
MOST_WORDS = 500  # of a domain, of either sort
MOST_GAP = 64  # tokens between two occurrences that are written
EXAMPLE_TOKENS = 64


@dataclass(frozen=True)
class Named:
    """What the rows of a sample are called, and how tokens are written.

    Attributes:
        rows: global number of each.
        steps: training step of each.
        domains: name of each row's.
        kinds: of every token (`shapes`).
        texts: of every token.
        decode: text of some tokens.
    """

    rows: Int64[np.ndarray, " rows"]
    steps: Int64[np.ndarray, " rows"]
    domains: Sequence[str]
    kinds: Int8[np.ndarray, " ids"]
    texts: Sequence[str]
    decode: Callable[[list[int]], str]


def motif_file(
    motifs: Sequence[Motif], sample: Sample, named: Named, **about: Any
) -> dict[str, Any]:
    """All motifs, and the words that their slots can be filled with.

    Args:
        about: `target` and `unit`.
    """
    entries = [
        _entry(f"motif-{number}", motif, sample, named)
        for number, motif in enumerate(motifs, 1)
    ]
    domains = sorted({entry["domain"] for entry in entries})
    top = int(sample.top.sum())
    return {
        "format": FORMAT,
        **about,
        "about": {"top_rows": top, "random_rows": len(sample) - top},
        "motifs": entries,
        "words": {domain: _words(domain, sample, named) for domain in domains},
    }


def _entry(name: str, motif: Motif, sample: Sample, named: Named) -> dict[str, Any]:
    rows = np.array([*motif.found], np.int64)
    mass, chance = sample.covered(rows)
    top = rows[sample.top[rows]]
    domain = Counter(named.domains[row] for row in top).most_common(1)[0][0]
    gaps = motif.gaps()
    low, high = (
        np.quantile(gaps, [0.1, 0.9], method="nearest") if gaps else (0, MOST_GAP)
    )
    own = [place for row in top for place in motif.found[int(row)]]
    return {
        "name": name,
        "skeleton": spelled(motif.skeleton, named.texts),
        "weight": round(max(0.0, mass - chance), 6),
        "elements": [
            {"fixed": [*e.tokens], "text": named.decode([*e.tokens])}
            if isinstance(e, Fixed)
            else {"slot": e.name}
            for e in motif.skeleton.elements
        ],
        "slots": _slots(motif, named),
        "gap": [min(int(low), MOST_GAP), min(int(high), MOST_GAP)],
        "domain": domain,
        "evidence": {
            "mass": mass,
            "top_rows": len(top) / max(1, int(sample.top.sum())),
            "random_rows": chance,
            "times_a_row": len(own) / max(1, len(top)),
            "p": motif.p,
            "false": motif.false,
        },
        "examples": _examples(motif, sample, named),
    }


def _slots(motif: Motif, named: Named) -> dict[str, Any]:
    found = {}
    names = [getattr(element, "name", "") for element in motif.skeleton.elements]
    for name, (low, high) in shortened(motif).items():
        fills = [o.fills[name] for places in motif.found.values() for o in places]
        spaced = np.mean([named.kinds[fill[0]] == SPACED_TOKEN for fill in fills])
        found[name] = {
            "length": [low, high],
            "from": WORDS if name in motif.words else VOCABULARY,
            "starts": SPACED if spaced >= 0.5 else PLAIN,
            "uses": names.count(name),
            "again": round(motif.again(name), 4),
            "distinct": round(motif.distinct(name), 4),
        }
    return found


def _examples(motif: Motif, sample: Sample, named: Named) -> list[dict[str, Any]]:
    """The first occurrences in the highest rows of three documents."""
    order = sorted(
        (row for row in motif.found if sample.top[row]),
        key=lambda row: (-sample.masses[row], row),
    )
    examples: list[dict[str, Any]] = []
    seen: set[int] = set()
    for row in order:
        if len(examples) == EXAMPLES:
            break
        document = int(sample.documents[row])
        if document not in seen:
            seen.add(document)
            one = motif.found[row][0]
            stop = min(one.stop, one.start + EXAMPLE_TOKENS)
            examples.append(
                {
                    "row": int(named.rows[row]),
                    "step": int(named.steps[row]),
                    "domain": named.domains[row],
                    "text": named.decode(sample.lists[row][one.start : stop]),
                    "fills": {k: named.decode([*v]) for k, v in one.fills.items()},
                }
            )
    return examples


def _words(domain: str, sample: Sample, named: Named) -> dict[str, list[list[int]]]:
    """The words that most rows of a domain hold, the most frequent first."""
    counts: dict[str, Counter[tuple[int, ...]]] = {PLAIN: Counter(), SPACED: Counter()}
    symbols = as_shapes(sample, named.kinds)
    for row, name in enumerate(named.domains):
        if name != domain:
            continue
        own = zip(symbols.lists[row], symbols.begins[row], strict=False)
        tokens = sample.lists[row]
        words = {
            tuple(tokens[begin : symbols.begins[row][place + 1]])
            for place, (symbol, begin) in enumerate(own)
            if symbols.is_word(symbol)
        }
        for word in words:
            spaced = named.kinds[word[0]] == SPACED_TOKEN
            counts[SPACED if spaced else PLAIN][word] += 1
    found = {}
    for sort, often in counts.items():
        order = sorted(often, key=lambda word: (-often[word], word))
        found[sort] = [list(word) for word in order if len(word) <= 16][:MOST_WORDS]
    return found
