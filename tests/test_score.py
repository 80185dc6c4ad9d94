"""Rows that were never trained on: how they are read, and their exact scores."""

import numpy as np
import pytest
import torch

from headwater.corpus.window import Window, WindowNumbers
from headwater.curvature.ekfac import fit_factors
from headwater.errors import HeadwaterError
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.influence.exact import score_rows, token_parts
from headwater.influence.files import Product
from headwater.influence.inverse import solve
from headwater.influence.newrows import read_new_rows
from headwater.influence.query import Answer, Experiment
from headwater.influence.scores import stream_scores
from headwater.probes import PROBES
from tiny import random_rows, repeats, tiny_model, unit

UNIT = unit("L1H2")
FACTORS = np.array([1.0, 0.25])  # of the window's two checkpoints


def read(tmp_path, text: str, width: int = 4):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    return read_new_rows(path, lambda words: [ord(c) for c in words], 128, width)


def test_long_rows_are_cut_one_after_the_other(tmp_path):
    found = read(tmp_path, '{"text": "abcdefghi"}\n{"tokens": [1, 2, 3, 4, 5, 6]}\n')
    assert [(row.line, row.part) for row in found] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert ["".join(map(chr, row.tokens)) for row in found[:2]] == ["abcd", "efgh"]
    assert [row.tokens.tolist() for row in found[2:]] == [[1, 2, 3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a"}', "1 tokens; a row needs at least 2"),
        ('{"tokens": [1, 200]}', "token id 200 is not in 0..127"),
        ('{"txt": "ab"}', 'unknown key "txt"; did you mean "text"?'),
        ('{"text": "ab", "positions": [0]}', 'unknown key "positions"; known are'),
        ('{"text": "ab", "tokens": [1]}', 'both "tokens" and "text"'),
        ("[1]", "not an object"),
        ("{", "line 2: "),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, said):
    with pytest.raises(HeadwaterError) as error:
        read(tmp_path, '{"text": "abc"}\n' + line)
    message = str(error.value)
    assert "rows.jsonl: line 2: " in message
    assert said in message
    assert "\n" not in message


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(HeadwaterError, match="no rows; write at least one line"):
        read(tmp_path, "\n")


class Opened(Experiment):
    """Stands in for an experiment with two checkpoints."""

    def __init__(self) -> None:
        rows = random_rows(40)
        self.models = [tiny_model(seed) for seed in (0, 1)]
        self.factors = [
            fit_factors(model, rows, [UNIT], PassOptions(16, 3))
            for model in self.models
        ]
        self.config = {"gradients": {"batch_size": 3}, "training": {"batch_size": 4}}
        self.window = WindowNumbers(Window(10, 20), self.config)

    def points(self):
        return [("start", 10), ("point1", 15)]

    def model(self, point: str):
        place = [name for name, _ in self.points()].index(point)
        return self.models[place], self.factors[place]

    def products(self) -> list[Product]:
        made = []
        for model, factors in zip(self.models, self.factors, strict=True):
            gradient, _ = probe_gradient(model, PROBES["induction"], UNIT, repeats(8))
            made.append(Product("", UNIT, solve(factors, UNIT.blocks, gradient, 0.1)))
        return made


@pytest.fixture(scope="module")
def asked() -> tuple[Experiment, Answer]:
    opened = Opened()
    known = np.arange(10, dtype=np.float32)
    some = known, known, np.full(10, 2), FACTORS, opened.products()
    return opened, Answer(*some)


ROWS = [row.numpy() for length in (9, 5, 9) for row in random_rows(2, length, length)]


def exact(experiment: Experiment, answer: Answer, row: np.ndarray) -> list[float]:
    """A row's score at each checkpoint, alone."""
    found = []
    for (point, _), product in zip(experiment.points(), answer.products, strict=True):
        model, factors = experiment.model(point)
        tokens = torch.from_numpy(row)[None]
        scores, _ = stream_scores(model, tokens, factors, [product], PassOptions(1))
        found.append(float(scores[0, 0]))
    return found


def test_rows_of_any_length_have_the_score_that_each_has_alone(asked):
    scores, losses = score_rows(*asked, ROWS)
    wanted = [np.mean(FACTORS * exact(*asked, row)) for row in ROWS]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4)
    assert np.unique(scores).size == 4  # the last two rows are the first two
    assert (losses > 0).all()


def test_parts_of_tokens_add_up_to_the_score(asked):
    parts = token_parts(*asked, ROWS)
    assert [len(part) for part in parts] == [len(row) - 1 for row in ROWS]
    scores, _ = score_rows(*asked, ROWS)
    np.testing.assert_allclose([part.sum() for part in parts], scores, rtol=1e-4)


def test_a_row_of_the_window_is_scored_where_it_is_trained_after(asked):
    """Rows 40 and 79 are of steps 10 and 19; the second checkpoint is step 15."""
    early, late = token_parts(*asked, ROWS[:2], numbers=[40, 79])
    first = exact(*asked, ROWS[0])
    np.testing.assert_allclose(early.sum(), FACTORS[0] * first[0], rtol=1e-4)
    both = np.mean(FACTORS * exact(*asked, ROWS[1]))
    np.testing.assert_allclose(late.sum(), both, rtol=1e-4)


def test_a_score_has_its_percentile_among_the_windows_rows(asked):
    _, answer = asked
    found = answer.percentiles(np.array([-1.0, 0.0, 4.5, 9.0, 99.0]))
    assert found.tolist() == [0, 0, 50, 90, 100]
