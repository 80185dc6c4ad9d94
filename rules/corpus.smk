# Text, or token ids in training order, to rows of tokens: in training order, and held
# out. Rules named fetch_... need the network and run where Snakemake runs (on a cluster,
# the login node); no other rule of this stage does. What they fetch depends on the
# source alone: they have no digest of their modules, so no edit fetches gigabytes again.

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
            shards=list(SOURCES.values()),
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


if REMOTE:

    rule fetch_shard:
        output:
            directory("<results>/corpus/source/text/{source}"),
        log:
            "<logs>/corpus/fetch_shard-{source}.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            place=lambda wildcards: REMOTE[wildcards.source],
        script:
            "../scripts/fetch_shard.py"


if STREAMED:

    rule fetch_dataset:
        input:
            files=CORPUS["dataset"].get("files", []),
        output:
            directory("<results>/corpus/source/text/{source}"),
        log:
            "<logs>/corpus/fetch_dataset-{source}.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            settings=CORPUS["dataset"],
        script:
            "../scripts/fetch_dataset.py"


if SOURCES:

    rule tokenize_source:
        input:
            shard=lambda wildcards: SOURCES[wildcards.source],
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
            settings=section("seed", "corpus"),
        script:
            "../scripts/tokenize_source.py"


if HAS_ROWS:

    rule fetch_rows:
        """Only the bytes of the rows that the experiment needs."""
        input:
            files=CORPUS.get("dataset", {}).get("files", []),
            tokenizer=ancient("<results>/corpus/tokenizer"),
        output:
            directory("<results>/corpus/source/rows"),
        log:
            "<logs>/corpus/fetch_rows.log",
        localrule: True
        conda:
            "../envs/headwater.yaml"
        params:
            source={
                k: CORPUS.get(k) for k in ("pythia", "parquet", "dataset", "seq_len")
            },
            rows=training_rows(config) + rows_held_out(CORPUS),
        script:
            "../scripts/fetch_rows.py"

    rule copy_rows:
        input:
            source=ROW_FILES,
            tokenizer="<results>/corpus/tokenizer",
        output:
            directory("<results>/corpus/{shard}.zarr"),
        log:
            "<logs>/corpus/copy_rows-{shard}.log",
        benchmark:
            "<benchmarks>/corpus/copy_rows-{shard}.tsv"
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=longer(240),
        params:
            code=digest("copy_rows"),
            settings=section("seed", "corpus"),
            rows=training_rows(config),
        script:
            "../scripts/copy_rows.py"

    rule hold_out_rows:
        input:
            source=ROW_FILES,
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
            packed=expand("<results>/corpus/packed/{source}.zarr", source=SOURCES),
            tokenizer="<results>/corpus/tokenizer",
        output:
            held_out=directory("<results>/corpus/held_out.zarr"),
            summary="<results>/corpus/summary.json",
        log:
            "<logs>/corpus/hold_out_rows.log",
        benchmark:
            "<benchmarks>/corpus/hold_out_rows.tsv"
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=longer(60),
        params:
            code=digest("hold_out_rows"),
            settings=section("seed", "corpus"),
            rows=training_rows(config),
        script:
            "../scripts/hold_out_rows.py"

else:

    rule order_rows:
        input:
            packed=expand("<results>/corpus/packed/{source}.zarr", source=SOURCES),
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
            runtime=longer(120),
        params:
            code=digest("order_rows"),
            settings=section("seed", "corpus"),
            rows=training_rows(config),
        script:
            "../scripts/order_rows.py"

    rule hold_out:
        input:
            packed=expand("<results>/corpus/packed/{source}.zarr", source=SOURCES),
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
            code=digest("hold_out"),
            settings=section("seed", "corpus"),
            rows=training_rows(config),
        script:
            "../scripts/hold_out.py"
