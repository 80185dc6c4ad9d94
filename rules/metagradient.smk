# The exact derivative of a target's score with respect to every row's weight, through the
# training itself: for arms that are ranked by it (docs/scores.md).

if METAGRADIENT_TARGETS:

    rule differentiate:
        input:
            checkpoint="<results>/heads/start",
            checkpoints=CHECKPOINTS if TRAINED else [],
            window="<results>/heads/window.json",
            targets=expand(
                "<results>/heads/targets/{target}.json",
                target=METAGRADIENT_TARGETS,
            ),
            held_out="<results>/corpus/held_out.zarr",
            tokenizer="<results>/corpus/tokenizer",
            data=data_of(METAGRADIENT_TARGETS),
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        output:
            expand(
                "<results>/metagradient/{target}.h5",
                target=METAGRADIENT_TARGETS,
            ),
            "<results>/metagradient/smoothness.json",
        log:
            "<logs>/metagradient/differentiate.log",
        benchmark:
            "<benchmarks>/metagradient/differentiate.tsv"
        priority: 10
        conda:
            "../envs/headwater.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=1,
            mem_mb=metagradient_memory,
            runtime=metagradient_minutes,
        params:
            code=digest("differentiate"),
            settings=section("metagradient", "retraining"),
            targets=METAGRADIENT_TARGETS,
        script:
            "../scripts/differentiate.py"

    rule check_linearity:
        input:
            scores=expand(
                "<results>/metagradient/{target}.h5",
                target=METAGRADIENT_TARGETS,
            ),
            smoothness="<results>/metagradient/smoothness.json",
            checkpoint="<results>/heads/start",
            window="<results>/heads/window.json",
            targets=expand(
                "<results>/heads/targets/{target}.json",
                target=METAGRADIENT_TARGETS,
            ),
            held_out="<results>/corpus/held_out.zarr",
            tokenizer="<results>/corpus/tokenizer",
            data=data_of(METAGRADIENT_TARGETS),
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        output:
            "<results>/metagradient/linearity.tsv",
        log:
            "<logs>/metagradient/check_linearity.log",
        benchmark:
            "<benchmarks>/metagradient/check_linearity.tsv"
        conda:
            "../envs/headwater.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=1,
            mem_mb=metagradient_memory,
            runtime=metagradient_minutes,
        params:
            code=digest("check_linearity"),
            settings=section("metagradient", "retraining"),
            targets=METAGRADIENT_TARGETS,
        script:
            "../scripts/check_linearity.py"


# The same smoothed: along shorter segments, or as the mean over other trainings.

if SMOOTHINGS:

    rule smooth_metagradient:
        input:
            checkpoint="<results>/heads/start",
            checkpoints=CHECKPOINTS if TRAINED else [],
            window="<results>/heads/window.json",
            targets=expand(
                "<results>/heads/targets/{target}.json",
                target=SMOOTHED_TARGETS,
            ),
            held_out="<results>/corpus/held_out.zarr",
            tokenizer="<results>/corpus/tokenizer",
            data=data_of(SMOOTHED_TARGETS),
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        output:
            expand(
                "<results>/metagradient/{target}.{{smoothing}}.h5",
                target=SMOOTHED_TARGETS,
            ),
            "<results>/metagradient/{smoothing}.json",
        log:
            "<logs>/metagradient/smooth_metagradient-{smoothing}.log",
        benchmark:
            "<benchmarks>/metagradient/smooth_metagradient-{smoothing}.tsv"
        priority: 10
        conda:
            "../envs/headwater.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=1,
            mem_mb=metagradient_memory,
            runtime=smoothing_minutes,
        params:
            code=digest("smooth_metagradient"),
            settings=smoothing_settings,
            targets=SMOOTHED_TARGETS,
        script:
            "../scripts/smooth_metagradient.py"
