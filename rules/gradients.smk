# Gradients of probes, and projected gradients of every row, at each point of the window.


rule probe_gradient:
    input:
        checkpoint="<results>/heads/{point}",
        target="<results>/heads/targets/{target}.json",
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        data=probe_file,
    output:
        "<results>/gradients/{point}/{target}.h5",
    log:
        "<logs>/gradients/probe_gradient-{point}-{target}.log",
    benchmark:
        "<benchmarks>/gradients/probe_gradient-{point}-{target}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("gradients"),
        runtime=longer(30),
    params:
        code=digest("probe_gradient"),
        settings=section("gradients"),
    script:
        "../scripts/probe_gradient.py"


rule row_gradients:
    input:
        checkpoint="<results>/heads/{point}",
        window="<results>/heads/window.json",
        targets=stored_targets,
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        factors="<results>/curvature/{point}.h5",
        probes=stored_probes,
    output:
        directory("<results>/gradients/{point}/{shard}.zarr"),
    log:
        "<logs>/gradients/row_gradients-{point}-{shard}.log",
    benchmark:
        "<benchmarks>/gradients/row_gradients-{point}-{shard}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("gradients"),
        runtime=longer(240),
    params:
        code=digest("row_gradients"),
        settings=section("gradients"),
        position=lambda wildcards: POINTS.index(wildcards.point),
    script:
        "../scripts/row_gradients.py"
