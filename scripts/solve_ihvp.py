"""The inverse-Hessian-vector product of a target's probe gradient."""

from pathlib import Path

from headwater import job
from headwater.curvature.files import read_factors
from headwater.gradients.blocks import blocks_of
from headwater.gradients.files import read_probe_gradient
from headwater.hdf5 import publish_hdf5
from headwater.influence.ekfac_inverse import solve
from headwater.stages import identity


def main(snakemake):
    with job.start(snakemake) as config:
        factors = read_factors(Path(snakemake.input.factors), config)
        probe = read_probe_gradient(Path(snakemake.input.probe), config)
        blocks = blocks_of([probe.head], config["gradients"]["mode"])
        damping = config["influence"]["damping"]
        product = solve(factors, blocks, probe.gradient, damping)
        name = snakemake.wildcards.target
        stamp = identity("influence", config, target=name, head=str(probe.head))
        with publish_hdf5(Path(snakemake.output[0]), stamp) as file:
            file["product"] = product


main(snakemake)  # noqa: F821
