"""The tests check shapes: what does not fit its annotations fails."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from headwater.cross_entropy import token_losses
from headwater.evaluation.losses import HeldOut
from headwater.influence.ranking import agreement
from headwater.projection.codes import Codec


def test_a_tensor_of_another_shape_is_refused():
    hidden, unembedding = torch.zeros(2, 3, 4), torch.zeros(7, 4)
    labels = torch.zeros(2, 3, dtype=torch.long)
    assert token_losses(hidden, unembedding, labels).shape == (2, 3)
    for wrong in (
        (hidden, unembedding.mT, labels),  # sizes that do not meet
        (hidden, unembedding, labels[:, :2]),
        (hidden[0], unembedding, labels),  # a dimension less
        (hidden, unembedding, labels.float()),  # another kind of number
    ):
        with pytest.raises(TypeCheckError, match="token_losses"):
            token_losses(*wrong)


def test_arrays_and_fields_are_checked_too():
    with pytest.raises(TypeCheckError, match="agreement"):
        agreement(np.zeros(3, np.float32), np.zeros(4, np.float32))
    with pytest.raises(TypeCheckError, match="HeldOut"):
        HeldOut(torch.zeros(4, 3, dtype=torch.long), np.array(["prose"] * 3), 0)


def test_a_result_of_another_shape_is_refused(monkeypatch):
    codec = Codec(64, 4, 0)
    monkeypatch.setattr(Codec, "_pack", lambda self, codes: codes[:-1, ::2])
    with pytest.raises(TypeCheckError, match="return value"):
        codec.encode(torch.ones(5, 64))
