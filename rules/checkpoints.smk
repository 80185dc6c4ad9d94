# Checkpoints of the baseline run, and published ones it starts from or consists of.
# fetch_checkpoint needs the network and runs where Snakemake runs (on a cluster, the
# login node). It has no digest of its modules, so that no edit fetches anything again.
# train_baseline trains in its own process, or drives a job: docs/training-runs.md.

if START:

    rule fetch_checkpoint:
        output:
            directory("<results>/checkpoints/source/{revision}"),
        log:
            "<logs>/checkpoints/fetch_checkpoint-{revision}.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            settings=section("checkpoints", "model"),
        script:
            "../scripts/fetch_checkpoint.py"


if TRAINED:

    rule train_baseline:
        input:
            start=START,
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
            tokenizer="<results>/corpus/tokenizer",
            held_out=["<results>/corpus/held_out.zarr"] if STOPS else [],
        output:
            directory(CHECKPOINTS),
        log:
            "<logs>/checkpoints/train_baseline.log",
        benchmark:
            "<benchmarks>/checkpoints/train_baseline.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=1,
            mem_mb=training_memory,
            runtime=training_minutes(config),
        params:
            code=digest("train_baseline"),
            settings=section("seed", "model", "training", "checkpoints"),
            ends=[section("heads"), WINDOW_TARGET] if STOPS else None,
        script:
            "../scripts/train_baseline.py"
