# Scores of all heads, and the choice of targets and window.


rule score_heads:
    input:
        checkpoints=CHECKPOINTS,
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
        code=modules("score_heads"),
    output:
        "<results>/heads/scores.tsv",
    log:
        "<logs>/heads/score_heads.log",
    benchmark:
        "<benchmarks>/heads/score_heads.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=section("heads"),
    script:
        "../scripts/score_heads.py"


rule select_targets:
    input:
        scores="<results>/heads/scores.tsv",
        checkpoints=CHECKPOINTS,
        code=modules("select_targets"),
    output:
        targets="<results>/heads/targets.json",
        roles=directory([f"<results>/heads/{role}" for role in ROLES]),
    log:
        "<logs>/heads/select_targets.log",
    benchmark:
        "<benchmarks>/heads/select_targets.tsv"
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=section("targets", "window"),
    script:
        "../scripts/select_targets.py"
