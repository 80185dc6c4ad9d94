# Retraining of every arm from the window's start. Its script trains in its own process,
# or drives a job of several ranks or of SLURM: docs/training-runs.md.


rule retrain_arm:
    input:
        arm=arm_rows,
        checkpoint="<results>/heads/start",
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        directory("<results>/retraining/{arm}-seed{draw}"),
    log:
        "<logs>/retraining/retrain_arm-{arm}-seed{draw}.log",
    benchmark:
        "<benchmarks>/retraining/retrain_arm-{arm}-seed{draw}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=training_memory,
        runtime=training_minutes(config),
    params:
        code=digest("retrain_arm"),
        settings=section("retraining"),
    script:
        "../scripts/retrain_arm.py"
