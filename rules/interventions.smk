# The arms: which row stands at each position of the window, with what weight. Before
# them what is known of the rows, each only where an arm picks by it.


rule measure_text:
    input:
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/interventions/facts/text.h5",
    log:
        "<logs>/interventions/measure_text.log",
    benchmark:
        "<benchmarks>/interventions/measure_text.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(60),
    params:
        code=digest("measure_text"),
    script:
        "../scripts/measure_text.py"


rule measure_lexical:
    input:
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        data=probe_file,
    output:
        "<results>/interventions/facts/{target}.lexical.h5",
    log:
        "<logs>/interventions/measure_lexical-{target}.log",
    benchmark:
        "<benchmarks>/interventions/measure_lexical-{target}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(60),
    params:
        code=digest("measure_lexical"),
        settings=lookup(dpath="targets/{target}", within=config),
    script:
        "../scripts/measure_lexical.py"


rule measure_gradients:
    input:
        window="<results>/heads/window.json",
        gradients=expand(
            "<results>/gradients/{point}/{shard}.zarr",
            point=POINTS,
            shard=GRADIENT_SHARDS,
        ),
        probes=expand("<results>/gradients/{point}/{{target}}.h5", point=POINTS),
        factors=expand("<results>/curvature/{point}.h5", point=POINTS),
    output:
        "<results>/interventions/facts/{target}.gradients.h5",
    log:
        "<logs>/interventions/measure_gradients-{target}.log",
    benchmark:
        "<benchmarks>/interventions/measure_gradients-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(120),
    params:
        code=digest("measure_gradients"),
    script:
        "../scripts/measure_gradients.py"


rule measure_tokens:
    input:
        scores="<results>/influence/{target}.zarr",
        checkpoints=expand("<results>/heads/{point}", point=POINTS),
        factors=expand("<results>/curvature/{point}.h5", point=POINTS),
        products=expand(
            "<results>/influence/ihvp/{point}/{{target}}.h5",
            point=POINTS,
        ),
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/interventions/facts/{target}.tokens.h5",
    log:
        "<logs>/interventions/measure_tokens-{target}.log",
    benchmark:
        "<benchmarks>/interventions/measure_tokens-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=pass_memory("gradients"),
        runtime=longer(240),
    params:
        code=digest("measure_tokens"),
    script:
        "../scripts/measure_tokens.py"


# What comes after it waits to see whether its rows are others than before: an arm of the
# same rows is not trained again, whatever happened to the scores (`arm_rows`).
checkpoint build_arm:
    input:
        facts=arm_facts,
        file=arm_file,
        motifs=arm_motifs,
        tokenizer=to_write("<results>/corpus/tokenizer"),
        held_out=to_write("<results>/corpus/held_out.zarr"),
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        rows="<results>/interventions/{arm}-seed{draw}.h5",
        match="<results>/interventions/{arm}-seed{draw}.match.h5",
    log:
        "<logs>/interventions/build_arm-{arm}-seed{draw}.log",
    benchmark:
        "<benchmarks>/interventions/build_arm-{arm}-seed{draw}.tsv"
    localrule: not WRITES_ROWS  # fresh rows are compared with all training rows
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(3000 if WRITES_ROWS else 2000),
        runtime=longer(120 if WRITES_ROWS else 30),
    params:
        code=digest("build_arm"),
        settings=arm_settings,
    script:
        "../scripts/build_arm.py"


if COMPARED_RUNS:

    rule compare_rows:
        input:
            expand("<results>/interventions/{run}.match.h5", run=COMPARED_RUNS),
        output:
            "<results>/interventions/match.tsv",
        log:
            "<logs>/interventions/compare_rows.log",
        benchmark:
            "<benchmarks>/interventions/compare_rows.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("compare_rows"),
        script:
            "../scripts/compare_rows.py"
