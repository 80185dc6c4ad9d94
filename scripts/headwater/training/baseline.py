"""The baseline run, from the rows of the corpus to its published checkpoints.

The driver of a job imports this module, and torch is slow to import: what trains is
imported where it is used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headwater.checkpoints.schedule import checkpoint_steps
from headwater.locks import exclusive
from headwater.publish import discard_work, part_of, publish_links
from headwater.seeds import stable_seed
from headwater.steps import step_name
from headwater.training.spec import Spec

if TYPE_CHECKING:
    from headwater.neox import Model
    from headwater.training.ranks import Ranks


def train(spec: Spec, ranks: "Ranks", device: str) -> None:
    """Train the run of a specification in its work folder."""
    from headwater.corpus.rows import Rows
    from headwater.training.batches import baseline_batches
    from headwater.training.run import Run, recipe_of, shared_work, train_run

    config = spec.config
    rows = Rows([Path(path) for path in spec.inputs["rows"]], config)
    batches = baseline_batches(rows, config["training"]["batch_size"])
    model = _start_model(spec)
    with shared_work(Path(spec.target), spec.begun_with, ranks) as part:
        run = Run("baseline", part, _schedule(spec), True, spec.identity, device)
        train_run(run, model, recipe_of(config), batches, config, ranks)


def publish(spec: Spec) -> None:
    """Publish the finished work folder's checkpoints."""
    target = Path(spec.target)
    with exclusive(target):
        for step in _schedule(spec):
            name = step_name(step)
            publish_links(part_of(target) / name, target.with_name(name))
        discard_work(target)


def _schedule(spec: Spec) -> list[int]:
    training = spec.config["training"]
    return checkpoint_steps(training["steps"], training["checkpoint_every"])


def _start_model(spec: Spec) -> "Model":
    """The published model to start from, or a new one."""
    from headwater.checkpoints.files import load_model
    from headwater.corpus.encoding import Encoder
    from headwater.training.run import new_model

    config = spec.config
    if spec.inputs["start"]:
        return load_model(Path(spec.inputs["start"][0]), config)
    encoder = Encoder.open(spec.path("tokenizer"), config)
    return new_model(config, encoder.vocabulary, stable_seed(config["seed"], "model"))
