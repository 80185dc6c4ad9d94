# Checkpoints of the baseline run.


rule train_baseline:
    input:
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        tokenizer="<results>/corpus/tokenizer",
        code=modules("train_baseline"),
    output:
        directory(
            expand("<results>/checkpoints/step{step}", step=CHECKPOINT_STEPS),
        ),
    log:
        "<logs>/checkpoints/train_baseline.log",
    benchmark:
        "<benchmarks>/checkpoints/train_baseline.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=240,
    params:
        settings=section("seed", "model", "training"),
    script:
        "../scripts/train_baseline.py"
