# EK-FAC factors of every head at the checkpoint that rows are scored at.
# Prioritised: the arms of top rows wait for the scores, the random ones for nothing.


rule fit_factors:
    input:
        checkpoint="<results>/heads/<scored>",
        targets="<results>/heads/targets.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        code=modules("fit_factors"),
    output:
        "<results>/curvature/<scored>.h5",
    log:
        "<logs>/curvature/fit_factors.log",
    benchmark:
        "<benchmarks>/curvature/fit_factors.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        settings=section("curvature"),
    script:
        "../scripts/fit_factors.py"
