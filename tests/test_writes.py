"""What a row's gradient writes: against a step taken on the real weights."""

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.gradients.passes import PassOptions
from headwater.gradients.writes import written_logits, written_tokens
from strangers import NAMES, SHAPES, row_gradients, stranger
from test_unit_probes import LABELS, parts_of, read_by_norms, seen_by, unit_in
from tiny import VOCABULARY, random_rows

SOME = [0, 2, 5, 9]  # GPT-NeoX, GPT-2, Llama with groups, OLMo-2 with norms after
some = pytest.mark.parametrize(
    "shape", [SHAPES[i] for i in SOME], ids=[NAMES[i] for i in SOME]
)
ROWS = random_rows(3, 12)


def stepped(model, shape, label: str) -> Tensor:
    """How a step of size 1 on a row moves the mean of what the unit writes there."""
    changes = []
    gradients = row_gradients(model, shape, ROWS, label.split("+"))
    writers = {
        name: parts
        for name, parts in parts_of(shape, label).items()
        if name.endswith(("/o", "/out"))
    }
    for row, gradient in zip(ROWS, gradients, strict=True):
        added = 0
        for name, parts in writers.items():
            module = parts[0][0].removesuffix(".weight")
            with seen_by(model, [module]) as seen, torch.no_grad():
                model(input_ids=row[None, :-1], use_cache=False)
            places = [place for _, _, where in parts for place in where]
            z = seen[module][0][:, places]
            change = -(z @ gradient[name]).mean(dim=0)
            added = added + read_by_norms(model, shape, module, change)
        changes.append(added)
    logits = torch.stack(changes) @ model.get_output_embeddings().weight.T
    return (logits - logits.mean(dim=1, keepdim=True)).detach()


@some
@pytest.mark.parametrize("label", LABELS)
def test_logits_are_those_of_a_step_on_the_row(shape, label) -> None:
    model = stranger(shape)
    unit = unit_in(model, label)
    expected = stepped(model, shape, label)
    found = torch.cat(list(written_logits(model, ROWS, unit, PassOptions(2))))
    assert expected.std(dim=1).min() > 1e-3, "a vanishing test case"
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    other = unit_in(model, "L1H0")
    wrong = torch.cat(list(written_logits(model, ROWS, other, PassOptions(2))))
    assert not torch.allclose(wrong.double(), expected, rtol=1e-2)


def test_tokens_are_the_strongest_of_either_sort() -> None:
    model = stranger(SHAPES[5])
    unit, options = unit_in(model, "L1H1"), PassOptions(2, vocabulary=VOCABULARY - 2)
    logits = torch.cat(list(written_logits(model, ROWS, unit, options))).numpy()
    assert logits.shape == (3, VOCABULARY - 2)  # a padding row of the embedding is none
    order = np.argsort(-logits, axis=1)
    tokens = written_tokens(model, ROWS, unit, options, count=4).numpy()
    np.testing.assert_array_equal(tokens[:, 0], order[:, :4])
    np.testing.assert_array_equal(tokens[:, 1], order[:, :-5:-1])


@pytest.mark.parametrize("mode", ["qk", "qo", "qkvo"])
def test_it_does_not_depend_on_the_parameters_that_count(mode) -> None:
    model = stranger(SHAPES[5])
    (found,) = written_logits(model, ROWS, unit_in(model, "L1H1", mode), PassOptions(3))
    (whole,) = written_logits(model, ROWS, unit_in(model, "L1H1"), PassOptions(3))
    torch.testing.assert_close(found, whole)
