"""BM25: how well a row's words answer a question, here the rows of a probe.

    score(row) = sum over the question's n-grams t of
                 n(t) idf(t) f(t) (K1 + 1) / (f(t) + K1)

n(t) is how often t stands in the question, over its rows; f(t) how often in the row;
idf(t) = ln(1 + (rows - df + 1/2) / (df + 1/2)), with df the rows that hold t (Robertson
and Zaragoza 2009; the idf of Lucene, which is never negative). Rows are of one length,
so that the formula's correction for length is 1.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64, Int, UInt64

from headwater.interventions.measures import batches, ngrams

K1 = 1.2
LENGTHS = (1, 2, 3)  # of the n-grams, in tokens


class Question:
    """The n-grams of a question.

    Args:
        rows: token ids, of any lengths.
    """

    def __init__(self, rows: Sequence[Int[np.ndarray, " _"]]) -> None:
        parts = [_terms(np.asarray(row)[None]).ravel() for row in rows]
        self.terms: UInt64[np.ndarray, " terms"]
        self.terms, counts = np.unique(np.concatenate(parts), return_counts=True)
        self.weights: Float64[np.ndarray, " terms"] = counts / len(rows)

    def frequencies(
        self, tokens: Int[np.ndarray, "rows width"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row, term, how often) of all terms in some rows."""
        found = _terms(tokens)
        place = np.searchsorted(self.terms, found).clip(max=len(self.terms) - 1)
        row, column = np.nonzero(self.terms[place] == found)
        pairs = row * len(self.terms) + place[row, column]
        known, counts = np.unique(pairs, return_counts=True)
        return *np.divmod(known, len(self.terms)), counts


def _terms(tokens: Int[np.ndarray, "rows width"]) -> UInt64[np.ndarray, "rows terms"]:
    return np.concatenate([ngrams(tokens, length) for length in LENGTHS], axis=1)


def bm25(
    question: Question,
    rows: Callable[[slice], Int[np.ndarray, "_ width"]],
    total: int,
    width: int,
) -> Float64[np.ndarray, " rows"]:
    """The score of every row; memory holds a few megabytes of them.

    Args:
        rows: token ids of some rows; asked for all rows twice.
    """
    holding = np.zeros(len(question.terms))
    for part in batches(total, width):
        _, terms, _ = question.frequencies(rows(part))
        holding += np.bincount(terms, minlength=len(holding))
    idf = np.log1p((total - holding + 0.5) / (holding + 0.5))
    scores = np.zeros(total)
    for part in batches(total, width):
        row, terms, often = question.frequencies(rows(part))
        gains = question.weights[terms] * idf[terms] * often * (K1 + 1) / (often + K1)
        scores[part] = np.bincount(row, gains, part.stop - part.start)
    return scores
