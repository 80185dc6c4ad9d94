"""Size of every row's gradient of a unit, and its plain product with the probe's."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from headwater import job
from headwater.corpus.window import WindowNumbers
from headwater.curvature.files import read_factors
from headwater.gradients.files import read_probe_gradient
from headwater.heads.targets import read_window
from headwater.identity import identity
from headwater.influence.average import PointScores, within
from headwater.influence.inverse import solve
from headwater.influence.scores import score_store
from headwater.interventions.facts import write_facts
from headwater.models.sections import unit_of
from headwater.projection.store import UnitRows, store_parts

FACTS = ("gradient_norm", "gradient_dot")


def plain_product(probe, factors_file, config):
    """The probe's gradient in the eigenbasis, multiplied by no inverse."""
    factors = replace(read_factors(factors_file, config), hessian="identity")
    unit = unit_of(probe.unit, config)
    return solve(factors, unit.blocks, probe.gradient, config["influence"]["damping"])


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, target = snakemake.input, snakemake.wildcards.target
        choice = read_window(Path(inputs.window), config)
        window = WindowNumbers(choice.window, config)
        shards = config["gradients"]["shards"]
        found = PointScores(len(window), len(FACTS), len(choice.points))
        for point, step in enumerate(choice.points):
            probe = read_probe_gradient(Path(inputs.probes[point]), config)
            product = plain_product(probe, Path(inputs.factors[point]), config)
            stores = inputs.gradients[point * shards : (point + 1) * shards]
            for part, store in store_parts(stores, step, window, config):
                rows = UnitRows(store, probe.unit)
                dots = score_store(rows, [product])[:, 0]
                values = np.stack([rows.norms(), dots], axis=1)
                found.add(point, within(part, range(len(window))), values)
        facts = dict(zip(FACTS, found.means(), strict=True))
        stamp = identity("gradients", config, [target], target=target)
        write_facts(Path(snakemake.output[0]), facts, stamp)


main(snakemake)  # noqa: F821
