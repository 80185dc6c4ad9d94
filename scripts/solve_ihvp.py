"""The inverse-Hessian-vector product of a target's probe gradient."""

from pathlib import Path

from headwater import job
from headwater.curvature.files import read_factors
from headwater.gradients.files import read_probe_gradient
from headwater.identity import identity
from headwater.influence.files import Product, write_product
from headwater.influence.inverse import solve
from headwater.models.sections import unit_of


def main(snakemake):
    with job.start(snakemake) as config:
        factors = read_factors(Path(snakemake.input.factors), config)
        probe = read_probe_gradient(Path(snakemake.input.probe), config)
        unit = unit_of(probe.unit, config)
        damping = config["influence"]["damping"]
        vector = solve(factors, unit.blocks, probe.gradient, damping)
        name = snakemake.wildcards.target
        product = Product(name, unit, vector)
        stamp = identity("influence", config, [name])
        write_product(Path(snakemake.output[0]), product, stamp)


main(snakemake)  # noqa: F821
