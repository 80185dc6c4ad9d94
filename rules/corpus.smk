# Text, or token ids in training order, to rows of tokens: in training order, and held
# out. Rules named fetch_... need the network and run where Snakemake runs (on a cluster,
# the login node); no other rule of this stage does. What they fetch depends on the
# source alone: they have no digest of their modules, so no edit fetches gigabytes again.

PACKED = expand("<results>/corpus/packed/{source}.zarr", source=SOURCES)

if "name" in CORPUS["tokenizer"]:

    rule fetch_tokenizer:
        """From the hub, or from a local folder."""
        output:
            directory("<results>/corpus/tokenizer"),
        log:
            "<logs>/corpus/fetch_tokenizer.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            settings=section("seed", "corpus"),
        script:
            "../scripts/fetch_tokenizer.py"

else:

    rule train_tokenizer:
        input:
            texts=list(SOURCES.values()),
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
            mem_mb=more(3000),
            runtime=longer(60),
        params:
            code=digest("train_tokenizer"),
            settings=section("seed", "corpus"),
        script:
            "../scripts/train_tokenizer.py"


if FETCHED:

    rule fetch_text:
        """One file of text: of an address, or of a data set."""
        input:
            files=lambda wildcards: TEXTS[wildcards.source].paths,
        output:
            directory("<results>/corpus/source/text/{source}"),
        log:
            "<logs>/corpus/fetch_text-{source}.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            origin=lambda wildcards: TEXTS[wildcards.source].origin,
        script:
            "../scripts/fetch_text.py"


if SOURCES:

    rule tokenize_source:
        input:
            text=lambda wildcards: SOURCES[wildcards.source],
            tokenizer="<results>/corpus/tokenizer",
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
            mem_mb=more(2000),
            runtime=longer(720),
        params:
            code=digest("tokenize_source"),
            all_held_out=ROWS is not None,
            settings=section("seed", "corpus"),
        script:
            "../scripts/tokenize_source.py"


if FETCHES_ROWS:

    rule fetch_rows:
        """Only the bytes of the rows that the experiment needs."""
        input:
            files=ROWS.paths,
            tokenizer=ancient("<results>/corpus/tokenizer"),
        output:
            directory("<results>/corpus/source/rows"),
        log:
            "<logs>/corpus/fetch_rows.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            origin=ROWS.origin,
            seq_len=CORPUS["seq_len"],
            rows=needs_of(config).all.stop,
        script:
            "../scripts/fetch_rows.py"


rule order_rows:
    """From packed text, or from the rows of a source of token ids."""
    input:
        packed=[] if ROWS else PACKED,
        source=ROW_FILES,
        tokenizer="<results>/corpus/tokenizer",
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
        mem_mb=more(3000),
        runtime=longer(240),
    params:
        code=digest("order_rows", UNUSED_SOURCES),
        settings=section("seed", "corpus"),
        rows=training_rows(config),
    script:
        "../scripts/order_rows.py"


rule hold_out:
    """Documents of the text, or rows after those of the training."""
    input:
        packed=PACKED,
        source=ROW_FILES,
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS) if ROWS else [],
        tokenizer="<results>/corpus/tokenizer",
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
        mem_mb=more(2000),
        runtime=longer(60),
    params:
        code=digest("hold_out", UNUSED_SOURCES),
        settings=section("seed", "corpus"),
        rows=training_rows(config),
    script:
        "../scripts/hold_out.py"
