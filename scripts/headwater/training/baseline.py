"""The baseline run, from the rows of the corpus to its published checkpoints.

The driver of a job imports this module, and torch is slow to import: what trains is
imported where it is used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headwater.checkpoints.schedule import checkpoint_steps, mark_ended
from headwater.locks import exclusive
from headwater.publish import discard_work, part_of, publish_links
from headwater.seeds import stable_seed
from headwater.steps import step_name, step_numbers
from headwater.training.spec import Spec

if TYPE_CHECKING:
    from headwater.models.sites import Model
    from headwater.training.ranks import Ranks
    from headwater.training.stopping import StopRule


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
        schedule, stop = _schedule(spec), _stop_rule(spec)
        run = Run("baseline", part, schedule, True, spec.identity, device, stop)
        train_run(run, model, recipe_of(config), batches, config, ranks)


def publish(spec: Spec) -> None:
    """Publish the finished work folder's checkpoints."""
    target = Path(spec.target)
    with exclusive(target):
        part = part_of(target)
        end = step_numbers(part.glob("step*"))[-1][0]
        for step in _schedule(spec):
            name = step_name(step)
            if step > end:
                mark_ended(part / name, end)
            publish_links(part / name, target.with_name(name))
        discard_work(target)


def _schedule(spec: Spec) -> list[int]:
    training = spec.config["training"]
    return checkpoint_steps(training["steps"], training["checkpoint_every"])


def _stop_rule(spec: Spec) -> "StopRule | None":
    from headwater.heads.finding import head_finder
    from headwater.training.stopping import StopRule

    config = spec.config
    rule = config["training"].get("stop")
    if not rule:
        return None
    find = head_finder(spec.path("held_out"), spec.path("tokenizer"), config)
    return StopRule(find, rule["after"], _schedule(spec))


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
