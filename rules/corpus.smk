# Text to rows of tokens: in training order, and held out.


rule train_tokenizer:
    """Or fetch one from Hugging Face, if the config names one."""
    input:
        shards=(
            [] if "name" in config["corpus"]["tokenizer"] else list(SOURCES.values())
        ),
        code=modules("train_tokenizer"),
    output:
        directory("<results>/corpus/tokenizer"),
    log:
        "<logs>/corpus/train_tokenizer.log",
    benchmark:
        "<benchmarks>/corpus/train_tokenizer.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        settings=section("seed", "corpus"),
    script:
        "../scripts/train_tokenizer.py"


rule tokenize_source:
    input:
        shard=lambda wildcards: SOURCES[wildcards.source],
        tokenizer="<results>/corpus/tokenizer",
        code=modules("tokenize_source"),
    output:
        directory("<results>/corpus/packed/{source}.zarr"),
    log:
        "<logs>/corpus/tokenize_source-{source}.log",
    benchmark:
        "<benchmarks>/corpus/tokenize_source-{source}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=720,
    params:
        settings=section("seed", "corpus"),
    script:
        "../scripts/tokenize_source.py"


rule order_rows:
    input:
        packed=expand("<results>/corpus/packed/{source}.zarr", source=SOURCES),
        tokenizer="<results>/corpus/tokenizer",
        code=modules("order_rows"),
    output:
        directory("<results>/corpus/{shard}.zarr"),
    log:
        "<logs>/corpus/order_rows-{shard}.log",
    benchmark:
        "<benchmarks>/corpus/order_rows-{shard}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        settings=section("seed", "corpus"),
        rows=config["training"]["steps"] * config["training"]["batch_size"],
    script:
        "../scripts/order_rows.py"


rule hold_out:
    input:
        packed=expand("<results>/corpus/packed/{source}.zarr", source=SOURCES),
        tokenizer="<results>/corpus/tokenizer",
        code=modules("hold_out"),
    output:
        held_out=directory("<results>/corpus/held_out.zarr"),
        summary="<results>/corpus/summary.json",
    log:
        "<logs>/corpus/hold_out.log",
    benchmark:
        "<benchmarks>/corpus/hold_out.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=section("seed", "corpus"),
        rows=config["training"]["steps"] * config["training"]["batch_size"],
    script:
        "../scripts/hold_out.py"
