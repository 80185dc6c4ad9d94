# What the top rows have in common, and the skeletons that they repeat. Nothing here
# goes through a model; `snakemake catalysts` and `snakemake motifs` ask for it.


rule measure_features:
    input:
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
    output:
        "<results>/catalysts/features/{shard}.h5",
    log:
        "<logs>/catalysts/measure_features-{shard}.log",
    benchmark:
        "<benchmarks>/catalysts/measure_features-{shard}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(120),
    params:
        code=digest("measure_features"),
        shards=config["gradients"]["shards"],
    script:
        "../scripts/measure_features.py"


rule describe_catalysts:
    input:
        scores="<results>/influence/{target}.zarr",
        target="<results>/heads/targets/{target}.json",
        features=expand(
            "<results>/catalysts/features/{shard}.h5", shard=GRADIENT_SHARDS
        ),
        window="<results>/heads/window.json",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        table="<results>/catalysts/{target}.tsv",
        json="<results>/catalysts/{target}.json",
    log:
        "<logs>/catalysts/describe_catalysts-{target}.log",
    benchmark:
        "<benchmarks>/catalysts/describe_catalysts-{target}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(60),
    params:
        code=digest("describe_catalysts"),
    script:
        "../scripts/describe_catalysts.py"


rule compare_targets:
    input:
        scores=expand("<results>/influence/{target}.zarr", target=TARGETS),
    output:
        "<results>/catalysts/between/overlap.tsv",
    log:
        "<logs>/catalysts/compare_targets.log",
    benchmark:
        "<benchmarks>/catalysts/compare_targets.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(10),
    params:
        code=digest("compare_targets"),
    script:
        "../scripts/compare_targets.py"


rule find_motifs:
    input:
        scores="<results>/influence/{target}.zarr",
        target="<results>/heads/targets/{target}.json",
        features=expand(
            "<results>/catalysts/features/{shard}.h5",
            shard=GRADIENT_SHARDS,
        ),
        window="<results>/heads/window.json",
        tokenizer="<results>/corpus/tokenizer",
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
    output:
        "<results>/catalysts/{target}.motifs.json",
    log:
        "<logs>/catalysts/find_motifs-{target}.log",
    benchmark:
        "<benchmarks>/catalysts/find_motifs-{target}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(4000),
        runtime=longer(120),
    params:
        code=digest("find_motifs"),
    script:
        "../scripts/find_motifs.py"


if ARM_RUNS:

    rule compare_removals:
        input:
            specificity="<results>/evaluation/specificity.tsv",
            targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        output:
            "<results>/catalysts/between/removal.tsv",
        log:
            "<logs>/catalysts/compare_removals.log",
        benchmark:
            "<benchmarks>/catalysts/compare_removals.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("compare_removals"),
            settings=section("arms"),
        script:
            "../scripts/compare_removals.py"
