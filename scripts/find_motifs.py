"""The skeletons that a target's top rows have more often than random rows."""

from pathlib import Path

from headwater import job
from headwater.catalysts.motiffile import write_motifs
from headwater.catalysts.motifwords import motif_file
from headwater.catalysts.search import Files, find_motifs, read_sample
from headwater.heads.targets import read_target


def main(snakemake):
    with job.start(snakemake) as config:
        inputs, name = snakemake.input, snakemake.wildcards.target
        files = Files(
            window=inputs.window,
            rows=inputs.rows,
            tokenizer=Path(inputs.tokenizer),
            scores=Path(inputs.scores),
            features=[Path(path) for path in inputs.features],
        )
        sample, named, _, seed = read_sample(files, config, name)
        motifs = find_motifs(sample, named.texts, seed)
        target = read_target(Path(inputs.target), config)
        found = motif_file(motifs, sample, named, target=name, unit=target.unit)
        write_motifs(Path(snakemake.output[0]), found)


main(snakemake)  # noqa: F821
