# Metrics of every run's checkpoints, and the effects of the arms.


rule evaluate_arm:
    input:
        checkpoints=arm_checkpoints,
        arms=evaluated_rows,
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        data=[
            target["data"] for target in config["targets"].values() if "data" in target
        ],
    output:
        directory("<results>/evaluation/{arm}"),
    log:
        "<logs>/evaluation/evaluate_arm-{arm}.log",
    benchmark:
        "<benchmarks>/evaluation/evaluate_arm-{arm}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=more(4000),
        runtime=evaluation_minutes,
    params:
        code=digest("evaluate_arm"),
        settings=section("evaluation"),
    script:
        "../scripts/evaluate_arm.py"


if ARM_RUNS:

    rule measure_effects:
        input:
            runs=expand("<results>/evaluation/{arm}", arm=ARMS),
            arms=expand("<results>/interventions/{run}.h5", run=RUNS),
            matches=expand("<results>/interventions/{run}.match.h5", run=RUNS),
            window="<results>/heads/window.json",
            targets=expand(
                "<results>/heads/targets/{target}.json",
                target=subsets.judged_targets(config),
            ),
        output:
            effects="<results>/evaluation/effects.tsv",
            control_units="<results>/evaluation/control_units.tsv",
            summary="<results>/evaluation/summary.tsv",
            specificity="<results>/evaluation/specificity.tsv",
        log:
            "<logs>/evaluation/measure_effects.log",
        benchmark:
            "<benchmarks>/evaluation/measure_effects.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("measure_effects"),
            arm_runs=ARM_RUNS,
        script:
            "../scripts/measure_effects.py"


if BANK_RUNS:

    rule measure_lds:
        input:
            effects="<results>/evaluation/effects.tsv",
            specificity="<results>/evaluation/specificity.tsv",
            arms=expand(
                "<results>/interventions/{run}.h5",
                run=[run_name(*run) for run in BANK_RUNS],
            ),
            scores=expand("<results>/influence/{target}.zarr", target=TARGETS),
            points=expand(
                "<results>/influence/{target}/{shard}.zarr",
                target=config["window"]["target"],
                shard=GRADIENT_SHARDS,
            ),
            facts=[f"<results>/{path}" for path in subsets.judged_files(config)],
            window="<results>/heads/window.json",
            target=expand(
                "<results>/heads/targets/{target}.json",
                target=config["window"]["target"],
            ),
            rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        output:
            lds="<results>/evaluation/lds.tsv",
            runs="<results>/evaluation/bank/runs.tsv",
            sums="<results>/evaluation/bank/sums.tsv",
            lacks="<results>/evaluation/bank/rows.tsv.gz",
            window="<results>/evaluation/bank/window.tsv.gz",
        log:
            "<logs>/evaluation/measure_lds.log",
        benchmark:
            "<benchmarks>/evaluation/measure_lds.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(2000),
            runtime=longer(30),
        params:
            code=digest("measure_lds"),
            runs=BANK_RUNS,
            settings=section("arms"),
        script:
            "../scripts/measure_lds.py"
