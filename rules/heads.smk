# Scores of all heads, and the choice of the window and of each target's head.


rule score_heads:
    input:
        checkpoints=CHECKPOINTS,
        held_out="<results>/corpus/held_out.zarr",
        tokenizer="<results>/corpus/tokenizer",
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
        mem_mb=more(4000),
        runtime=longer(60),
    params:
        code=digest("score_heads"),
        settings=section("heads"),
    script:
        "../scripts/score_heads.py"


rule select_window:
    input:
        scores="<results>/heads/scores.tsv",
        checkpoints=CHECKPOINTS,
    output:
        window="<results>/heads/window.json",
        roles=directory(expand("<results>/heads/{role}", role=ROLES)),
    log:
        "<logs>/heads/select_window.log",
    benchmark:
        "<benchmarks>/heads/select_window.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=longer(10),
    params:
        code=digest("select_window"),
        settings=section("window"),
        target=WINDOW_TARGET,
    script:
        "../scripts/select_window.py"


rule select_target:
    input:
        scores="<results>/heads/scores.tsv",
    output:
        "<results>/heads/targets/{target}.json",
    log:
        "<logs>/heads/select_target-{target}.log",
    benchmark:
        "<benchmarks>/heads/select_target-{target}.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=longer(10),
    params:
        code=digest("select_target"),
        settings=lookup(dpath="targets/{target}", within=config),
    script:
        "../scripts/select_target.py"
