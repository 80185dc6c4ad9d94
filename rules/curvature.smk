# Factors of every head, and of other units named, at each point of the window.
# Prioritised: the arms of top rows wait for the scores, the random ones for nothing.


rule fit_factors:
    input:
        checkpoint="<results>/heads/{point}",
        window="<results>/heads/window.json",
        held_out="<results>/corpus/held_out.zarr",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/curvature/{point}.h5",
    log:
        "<logs>/curvature/fit_factors-{point}.log",
    benchmark:
        "<benchmarks>/curvature/fit_factors-{point}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("curvature"),
        runtime=longer(240),
    params:
        code=digest("fit_factors"),
        settings=section("curvature"),
        units=fitted_besides(config),
    script:
        "../scripts/fit_factors.py"
