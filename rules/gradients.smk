# Gradients of probes, and projected gradients of every row.


rule probe_gradient:
    input:
        checkpoint="<results>/heads/<scored>",
        targets="<results>/heads/targets.json",
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        code=modules("probe_gradient"),
    output:
        "<results>/gradients/<scored>/{target}.h5",
    log:
        "<logs>/gradients/probe_gradient-{target}.log",
    benchmark:
        "<benchmarks>/gradients/probe_gradient-{target}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=30,
    params:
        settings=section("gradients"),
    script:
        "../scripts/probe_gradient.py"


rule row_gradients:
    input:
        checkpoint="<results>/heads/<scored>",
        targets="<results>/heads/targets.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        factors="<results>/curvature/<scored>.h5",
        probes=expand("<results>/gradients/<scored>/{target}.h5", target=TARGETS),
        code=modules("row_gradients"),
    output:
        directory("<results>/gradients/<scored>/{shard}.zarr"),
    log:
        "<logs>/gradients/row_gradients-{shard}.log",
    benchmark:
        "<benchmarks>/gradients/row_gradients-{shard}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        settings=section("gradients"),
    script:
        "../scripts/row_gradients.py"
