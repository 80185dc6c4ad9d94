"""Trainings that one or several ranks do, for test_ranks.py.

As a program it is one rank: rank_cases.py RANK COUNT FOLDER.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.training.ranks import Group, Ranks
from headwater.training.recipe import Recipe, make_optimizer, make_scaler
from headwater.training.trainer import train
from tiny import random_rows, tiny_model

RECIPE = Recipe(
    learning_rate=0.01,
    warmup_steps=2,
    betas=(0.9, 0.95),
    eps=1e-8,
    weight_decay=0.1,
    max_grad_norm=1.0,
)
WEIGHTS = [1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0]

# Recipe, and the rows of a batch: seven are divided by no number of ranks, and two
# leave the third rank without a row.
CASES = {
    "fixed": (RECIPE, 7),
    "kept": (replace(RECIPE, divisor="kept"), 7),
    "few": (replace(RECIPE, divisor="kept"), 2),
    "micro": (replace(RECIPE, micro_batch_size=2), 7),
    "fp16": (replace(RECIPE, precision="fp16"), 7),
    "diverging": (replace(RECIPE, learning_rate=1e200, max_grad_norm=1e200), 7),
}


def do(name: str, ranks: Ranks) -> dict[str, Tensor]:
    """The weights after four steps, and the losses, scale and agreed wishes."""
    recipe, size = CASES[name]
    model = tiny_model().float() if name == "fp16" else tiny_model()
    optimizer, scaler = make_optimizer(model, recipe), make_scaler(recipe, model.device)
    losses, wishes = [], []

    def batch(step: int) -> tuple[Tensor, Tensor]:
        ranks.wish = step + 1 if ranks.rank == 0 and step < 2 else 0
        ranks.wish += 5 * (ranks.rank > 0)  # of no account
        return random_rows(size, seed=step), torch.tensor(WEIGHTS[:size])

    def after(step: int, loss: float) -> None:
        losses.append(loss)
        wishes.append(ranks.agreed)

    train(model, optimizer, recipe, batch, range(4), after, scaler, ranks)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    scale = torch.tensor(scaler.state_dict().get("scale", 1.0))
    return {
        **parameters,
        "losses": torch.tensor(losses, dtype=torch.float64),
        "wishes": torch.tensor(wishes),
        "scale": scale,
    }


def lose_a_rank(ranks: Ranks, folder: Path) -> None:
    """The last rank dies; the others must learn of it."""
    if ranks.rank == ranks.count - 1:
        os._exit(9)
    model = tiny_model()
    try:
        while True:
            ranks.add_up(model, torch.zeros((), dtype=torch.float64))
            time.sleep(0.01)
    except HeadwaterError as error:
        (folder / f"lost-{ranks.rank}.txt").write_text(str(error))
        os._exit(0)  # the threads of a broken group may abort an orderly end


def main(rank: int, count: int, folder: Path) -> None:
    group = Group(rank, count, torch.device("cpu"))
    for name in CASES:
        save_file(do(name, group), folder / f"{name}-{rank}.safetensors")
    try:
        group.check_same(rank)
    except HeadwaterError as error:
        (folder / f"unlike-{rank}.txt").write_text(str(error))
    lose_a_rank(group, folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
