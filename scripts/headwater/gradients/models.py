"""A checkpoint's model, ready for a pass: on its device, in the precision wanted."""

from pathlib import Path

import torch

from headwater.checkpoints.files import load_model
from headwater.identity import Config
from headwater.neox import Model

PRECISIONS = {"exact": torch.float32, "bf16": torch.bfloat16}


def load_for_pass(
    folder: Path, config: Config, device: torch.device, precision: str = "exact"
) -> Model:
    """The model of a checkpoint for passes over rows.

    Args:
        precision: `exact` (float32) or `bf16` (sums over rows stay float32).

    Raises:
        HeadwaterError: the checkpoint cannot be read.
    """
    model = load_model(folder, config).to(device)
    for parameter in model.parameters():  # not buffers: rotary angles need float32
        parameter.data = parameter.data.to(PRECISIONS[precision])
    return model
