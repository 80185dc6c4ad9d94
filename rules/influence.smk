# Inverse-Hessian-vector products, and a score for every row and target.


rule solve_ihvp:
    input:
        factors="<results>/curvature/<scored>.h5",
        probe="<results>/gradients/<scored>/{target}.h5",
        code=modules("solve_ihvp"),
    output:
        "<results>/influence/{target}.ihvp.h5",
    log:
        "<logs>/influence/solve_ihvp-{target}.log",
    benchmark:
        "<benchmarks>/influence/solve_ihvp-{target}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=section("influence"),
    script:
        "../scripts/solve_ihvp.py"


rule score_rows:
    input:
        unpack(scoring_inputs),
        products=expand("<results>/influence/{target}.ihvp.h5", target=TARGETS),
        targets="<results>/heads/targets.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        code=modules("score_rows"),
    output:
        directory("<results>/influence/{shard}.zarr"),
    log:
        "<logs>/influence/score_rows-{shard}.log",
    benchmark:
        "<benchmarks>/influence/score_rows-{shard}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1 if config["influence"]["method"] == "exact" else 0,
        mem_mb=4000,
        runtime=120,
    params:
        settings=section("influence"),
    script:
        "../scripts/score_rows.py"


rule rank_rows:
    input:
        scores=expand("<results>/influence/{shard}.zarr", shard=GRADIENT_SHARDS),
        targets="<results>/heads/targets.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        code=modules("rank_rows"),
    output:
        ranked="<results>/influence/{target}.tsv",
        domains="<results>/influence/{target}.domains.tsv",
    log:
        "<logs>/influence/rank_rows-{target}.log",
    benchmark:
        "<benchmarks>/influence/rank_rows-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/rank_rows.py"


rule check_fidelity:
    input:
        scores=expand("<results>/influence/{shard}.zarr", shard=GRADIENT_SHARDS),
        products=expand("<results>/influence/{target}.ihvp.h5", target=TARGETS),
        factors="<results>/curvature/<scored>.h5",
        checkpoint="<results>/heads/<scored>",
        targets="<results>/heads/targets.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        code=modules("check_fidelity"),
    output:
        "<results>/influence/fidelity.tsv",
    log:
        "<logs>/influence/check_fidelity.log",
    benchmark:
        "<benchmarks>/influence/check_fidelity.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    params:
        settings=section("influence"),
    script:
        "../scripts/check_fidelity.py"
