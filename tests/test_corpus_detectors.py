"""Detected domains: clear cases, labelled text, and bounded work."""

from collections import Counter
from pathlib import Path

import pytest

from headwater.corpus.detectors import DOMAINS, KINDS, SUFFIX, detect, detected_domain
from headwater.corpus.documents import DocumentReader

CORPUS = Path(__file__).parent.parent / "resources/corpus"

CLEAR = {
    "latex": r"Let $x \in \mathbb{R}$; then \begin{align} \frac{1}{x} \end{align}. ",
    "markup": "<ul><li>One</li><li>Two</li></ul>\n<a href='#x'>Three</a>\n",
    "code": "for (int i = 0; i < n; i++) {\n    total += values[i];\n}\n",
    "table": "name\tmass\tcharge\nelectron\t0.511\t-1\nproton\t938.3\t1\n",
    "list": "1. Flour\n2. Water\n3. Salt\n4. Yeast\n5. A warm place\n6. Time\n",
    "prose": "It was late when they came home. Nobody had waited for them, they said. ",
    "other": "%%%% 8f3a//91 ### 77$$ ~~ 0x3c @@ 55%% {{ 12 ]] ",
}


@pytest.mark.parametrize("kind", KINDS)
def test_clear_cases(kind: str) -> None:
    assert detect(CLEAR[kind] * 4) == kind
    assert detected_domain(CLEAR[kind] * 4) == f"{kind} (detected)"


@pytest.mark.parametrize("text", ["", " \n\t ", "\ufffd" * 20, "\x00" * 9])
def test_nothing_to_see_is_other(text: str) -> None:
    assert detect(text) == "other"


def test_names_are_sorted_and_marked() -> None:
    assert sorted(DOMAINS) == DOMAINS
    assert all(name.endswith(SUFFIX) for name in DOMAINS)
    assert set(CLEAR) == set(KINDS)


def test_only_the_beginning_is_looked_at() -> None:
    assert detect(CLEAR["prose"] * 60 + CLEAR["code"] * 10_000) == "prose"


WANTED = {
    "html": ("markup", 0.95),
    "xml": ("markup", 0.85),
    "latex": ("latex", 0.9),
    "prose": ("prose", 0.9),
    "code": ("code", 0.65),  # the rest is mostly its comments, as prose
}


def test_guesses_agree_with_labels() -> None:
    """On the repository's labelled corpus; docs/your-data.md quotes these shares."""
    found: dict[str, Counter[str]] = {label: Counter() for label in WANTED}
    for shard in sorted(CORPUS.glob("*.jsonl.zst")):
        for document in DocumentReader(shard, "fail"):
            found[document.domain][detect(document.text)] += 1
    for label, (kind, least) in WANTED.items():
        share = found[label][kind] / found[label].total()
        assert share >= least, (label, found[label])
