# The arms: which row stands at each position of the window, with what weight.


rule build_arm:
    input:
        scores=arm_scores,
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/interventions/{arm}-seed{draw}.h5",
    log:
        "<logs>/interventions/build_arm-{arm}-seed{draw}.log",
    benchmark:
        "<benchmarks>/interventions/build_arm-{arm}-seed{draw}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(30),
    params:
        code=digest("build_arm"),
        settings=arm_settings,
    script:
        "../scripts/build_arm.py"
