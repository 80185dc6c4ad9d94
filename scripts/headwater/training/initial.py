"""The initial weights of Pythia: GPT-NeoX's `small_init` and `wang_init`.

Source: github.com/EleutherAI/gpt-neox, tag v1.0, `megatron/model/init_functions.py`;
which layer takes which is in `transformer.py` and `gpt2_model.py` beside it. The
distribution is that of Pythia's `step0`, the draw is not: for that, start from `step0`
itself (config section `checkpoints`).
"""

import math

import torch

from headwater.models.sites import Model, architecture_of


@torch.no_grad()
def initialise(model: Model, seed: int) -> None:
    """Draw new weights for a model, in place.

    The layers that write into the residual stream are normal with standard deviation
    2 / (layers * sqrt(width)), all other matrices, both embeddings among them, with
    sqrt(2 / (5 * width)). Biases are 0, norms 1.
    """
    width, layers = model.config.hidden_size, model.config.num_hidden_layers
    small, wang = math.sqrt(2 / (5 * width)), 2 / layers / math.sqrt(width)
    adds = architecture_of(model).adds
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        spread = wang if name.endswith(adds) else small
        parameter.normal_(0, spread, generator=generator)
