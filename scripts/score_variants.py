"""Scores of all rows by every other formula of `interventions/scores`."""

from pathlib import Path

import numpy as np
import torch

from headwater import job
from headwater.checkpoints.files import adam_steps, can_resume, load_model
from headwater.corpus.holdout import token_counts
from headwater.curvature.ekfac import fit_factors
from headwater.curvature.files import read_factors
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient
from headwater.heads.probe_data import probe_data
from headwater.heads.targets import choose_target, open_window, read_target
from headwater.identity import identity
from headwater.influence.average import PointScores, within
from headwater.influence.derived import derived_scores
from headwater.influence.files import read_losses
from headwater.influence.stored_variants import Point, stored_scores
from headwater.interventions.facts import write_facts
from headwater.interventions.scores import DEFAULT
from headwater.models.sections import unit_of
from headwater.models.sites import block_of
from headwater.probes import find_probe
from headwater.projection.store import UnitRows, store_parts
from headwater.seeds import stable_seed
from headwater.stores import open_group
from headwater.tables import read_table

PREVIOUS = {"probe": "previous_token", "head": "auto"}


def units_of(target, inputs, config):
    """The target's unit, and the head before it in the circuit if it is stored."""
    unit = unit_of(target.unit, config)
    scores = read_table(Path(inputs.head_scores))
    before = choose_target(PREVIOUS, scores, config).head
    stored = open_group(Path(inputs.gradients[0]), config).attrs["units"]
    if before == target.unit or before not in stored:
        return [unit]
    return [unit, unit_of(before, config)]


class Asked:
    """What is asked of the model at every checkpoint: rows of the fit, probe, units."""

    def __init__(self, snakemake, window, config):
        inputs, name = snakemake.input, snakemake.wildcards.target
        self.config = config
        target = read_target(Path(inputs.target), config)
        self.units = units_of(target, inputs, config)
        self.probe = find_probe(target.probe)
        settings = config["targets"][name]
        corpus = inputs.held_out, inputs.tokenizer
        self.data = probe_data(settings, *corpus, config)
        generator = np.random.default_rng(stable_seed(config["seed"], "variants"))
        picked = window.sample(config["curvature"]["rows"], generator)
        self.rows = torch.from_numpy(window.take(picked))
        self.options = PassOptions(
            config["curvature"]["batch_size"],
            stable_seed(config["seed"], "variants", "labels"),
            len(token_counts(Path(inputs.held_out), config)),
            numbers=window.numbers(picked),
        )

    def at(self, checkpoint, factors):
        """The products of every variant at one checkpoint."""
        folder = Path(checkpoint)
        model = load_model(folder, self.config).to(job.device())
        own = self.units[:1]
        return Point(
            factors=read_factors(Path(factors), self.config),
            diagonal=fit_factors(model, self.rows, own, self.options, "diagonal"),
            gradients={
                unit: probe_gradient(model, self.probe, unit, self.data)[0]
                for unit in self.units
            },
            damping=self.config["influence"]["damping"],
            steps=self._steps(folder, model) if can_resume(folder) else None,
        ).products()

    def _steps(self, folder, model):
        """By which Adam divides the gradient of the unit there."""
        held = adam_steps(folder, model, self.config)
        return {str(b): block_of(held, b).double() for b in self.units[0].blocks}


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, target = snakemake.input, snakemake.wildcards.target
        choice, window = open_window(inputs.window, inputs.rows, config)
        asked = Asked(snakemake, window, config)
        shards, found = config["gradients"]["shards"], None
        norms = PointScores(len(window), 1, len(choice.points))
        for point, step in enumerate(choice.points):
            vectors = asked.at(inputs.checkpoints[point], inputs.factors[point])
            if found is None:
                found = PointScores(len(window), len(vectors), len(choice.points))
            stores = inputs.gradients[point * shards : (point + 1) * shards]
            for part, store in store_parts(stores, step, window, config):
                place = within(part, range(len(window)))
                found.add(point, place, stored_scores(store, vectors))
                own = UnitRows(store, str(asked.units[0])).norms()
                norms.add(point, place, own[:, None])
        facts = dict(zip(vectors, found.means(), strict=True))
        del facts[DEFAULT]  # which `<target>.zarr` holds
        points = found.scores[:, list(vectors).index(DEFAULT)]
        losses = read_losses([Path(inputs.scores)], config)
        facts |= derived_scores(points, next(norms.means()), losses)
        stamp = identity("influence", config, [target], target=target)
        write_facts(Path(snakemake.output[0]), facts, stamp)
        job.logger.info("variants of %s: %s", target, ", ".join(facts))


main(snakemake)  # noqa: F821
