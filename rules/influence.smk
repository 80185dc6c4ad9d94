# Inverse-Hessian-vector products, and a score for every row and target.


rule solve_ihvp:
    input:
        factors="<results>/curvature/{point}.h5",
        probe="<results>/gradients/{point}/{target}.h5",
    output:
        "<results>/influence/ihvp/{point}/{target}.h5",
    log:
        "<logs>/influence/solve_ihvp-{point}-{target}.log",
    benchmark:
        "<benchmarks>/influence/solve_ihvp-{point}-{target}.tsv"
    priority: 10
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(30),
    params:
        code=digest("solve_ihvp"),
        settings=section("influence"),
    script:
        "../scripts/solve_ihvp.py"


if config["influence"]["method"] != "exact":

    rule score_rows:
        input:
            gradients=expand(
                "<results>/gradients/{point}/{{shard}}.zarr",
                point=POINTS,
            ),
            products=expand(
                "<results>/influence/ihvp/{point}/{{target}}.h5",
                point=POINTS,
            ),
            window="<results>/heads/window.json",
        output:
            directory("<results>/influence/{target}/{shard}.zarr"),
        log:
            "<logs>/influence/score_rows-{target}-{shard}.log",
        benchmark:
            "<benchmarks>/influence/score_rows-{target}-{shard}.tsv"
        priority: 10
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=longer(120),
        params:
            code=digest("score_rows"),
            settings=section("influence"),
        script:
            "../scripts/score_rows.py"

else:

    rule stream_scores:
        input:
            checkpoints=expand("<results>/heads/{point}", point=POINTS),
            factors=expand("<results>/curvature/{point}.h5", point=POINTS),
            products=expand(
                "<results>/influence/ihvp/{point}/{target}.h5",
                target=TARGETS,
                point=POINTS,
            ),
            window="<results>/heads/window.json",
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        output:
            directory(
                expand("<results>/influence/{target}/{{shard}}.zarr", target=TARGETS),
            ),
        log:
            "<logs>/influence/stream_scores-{shard}.log",
        benchmark:
            "<benchmarks>/influence/stream_scores-{shard}.tsv"
        priority: 10
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            gpu=1,
            mem_mb=pass_memory("gradients"),
            runtime=longer(120),
        params:
            code=digest("stream_scores"),
            settings=section("gradients", "influence"),
            targets=TARGETS,
        script:
            "../scripts/stream_scores.py"


rule rank_rows:
    input:
        scores=expand(
            "<results>/influence/{{target}}/{shard}.zarr",
            shard=GRADIENT_SHARDS,
        ),
        through=through_training,
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        ranked="<results>/influence/{target}.tsv",
        domains="<results>/influence/{target}.domains.tsv",
        scores=directory("<results>/influence/{target}.zarr"),
    log:
        "<logs>/influence/rank_rows-{target}.log",
    benchmark:
        "<benchmarks>/influence/rank_rows-{target}.tsv"
    priority: 10
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(30),
    params:
        code=digest("rank_rows"),
    script:
        "../scripts/rank_rows.py"


rule score_tokens:
    input:
        scores="<results>/influence/{target}.zarr",
        checkpoints=expand("<results>/heads/{point}", point=POINTS),
        factors=expand("<results>/curvature/{point}.h5", point=POINTS),
        products=expand(
            "<results>/influence/ihvp/{point}/{{target}}.h5",
            point=POINTS,
        ),
        window="<results>/heads/window.json",
        tokenizer="<results>/corpus/tokenizer",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/influence/{target}.tokens.h5",
    log:
        "<logs>/influence/score_tokens-{target}.log",
    benchmark:
        "<benchmarks>/influence/score_tokens-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("gradients"),
        runtime=longer(30),
    params:
        code=digest("score_tokens"),
        rows=config["report"]["rows"],
    script:
        "../scripts/score_tokens.py"


rule check_fidelity:
    input:
        scores=expand("<results>/influence/{target}.zarr", target=TARGETS),
        checkpoints=expand("<results>/heads/{point}", point=POINTS),
        factors=expand("<results>/curvature/{point}.h5", point=POINTS),
        products=expand(
            "<results>/influence/ihvp/{point}/{target}.h5",
            target=TARGETS,
            point=POINTS,
        ),
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        table="<results>/influence/fidelity.tsv",
        sample="<results>/influence/fidelity.rows.tsv",
    log:
        "<logs>/influence/check_fidelity.log",
    benchmark:
        "<benchmarks>/influence/check_fidelity.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("gradients"),
        runtime=longer(60),
    params:
        code=digest("check_fidelity"),
        settings=section("influence"),
        targets=TARGETS,
    script:
        "../scripts/check_fidelity.py"


rule examine:
    input:
        scores="<results>/influence/{target}.zarr",
        facts=examined_facts,
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        held_out="<results>/corpus/held_out.zarr",
    output:
        "<results>/influence/{target}.examination.tsv",
    log:
        "<logs>/influence/examine-{target}.log",
    benchmark:
        "<benchmarks>/influence/examine-{target}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(60),
    params:
        code=digest("examine"),
    script:
        "../scripts/examine.py"


rule score_variants:
    input:
        checkpoints=expand("<results>/heads/{point}", point=POINTS),
        factors=expand("<results>/curvature/{point}.h5", point=POINTS),
        gradients=expand(
            "<results>/gradients/{point}/{shard}.zarr",
            point=POINTS,
            shard=GRADIENT_SHARDS,
        ),
        target="<results>/heads/targets/{target}.json",
        scores="<results>/influence/{target}.zarr",
        head_scores="<results>/heads/scores.tsv",
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        data=probe_file,
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/influence/{target}.variants.h5",
    log:
        "<logs>/influence/score_variants-{target}.log",
    benchmark:
        "<benchmarks>/influence/score_variants-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("curvature"),
        runtime=longer(120),
    params:
        code=digest("score_variants"),
        settings=section("curvature", "gradients", "influence", "training"),
    script:
        "../scripts/score_variants.py"


rule compare_variants:
    input:
        checkpoint=f"<results>/heads/{POINTS[0]}",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/influence/variants.tsv",
    log:
        "<logs>/influence/compare_variants.log",
    benchmark:
        "<benchmarks>/influence/compare_variants.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("curvature"),
        runtime=longer(60),
    params:
        code=digest("compare_variants"),
        settings=section("curvature", "gradients", "influence", "targets"),
    script:
        "../scripts/compare_variants.py"
