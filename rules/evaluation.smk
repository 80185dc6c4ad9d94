# Metrics of every run's checkpoints, and the effects of the arms.


rule evaluate_run:
    input:
        checkpoints=run_checkpoints,
        target=expand(
            "<results>/heads/targets/{target}.json",
            target=config["window"]["target"],
        ),
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
    output:
        "<results>/evaluation/{run}.tsv",
    log:
        "<logs>/evaluation/evaluate_run-{run}.log",
    benchmark:
        "<benchmarks>/evaluation/evaluate_run-{run}.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=more(4000),
        runtime=longer(120),
    params:
        code=digest("evaluate_run"),
        settings=section("evaluation"),
    script:
        "../scripts/evaluate_run.py"


if ARM_RUNS:

    rule measure_effects:
        input:
            runs=expand("<results>/evaluation/{run}.tsv", run=RUNS),
            arms=expand("<results>/interventions/{run}.h5", run=RUNS[1:]),
            window="<results>/heads/window.json",
            target=expand(
                "<results>/heads/targets/{target}.json",
                target=config["window"]["target"],
            ),
        output:
            effects="<results>/evaluation/effects.tsv",
            summary="<results>/evaluation/summary.tsv",
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
