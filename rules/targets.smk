# The targets people type: `snakemake heads`, `snakemake retraining`, ...


rule prepare:
    """What needs the network, on a login node."""
    input:
        NEEDS_NETWORK,


rule plan:
    """What the experiment will cost: jobs, hours, gigabytes, files. Needs nothing."""
    log:
        "<logs>/plan.log",
    localrule: True
    conda:
        "../envs/headwater.yaml"
    params:
        limits=requests,
        gpu=has_gpu,
        cluster=on_cluster(),
    script:
        "../scripts/plan.py"


rule study:
    """Every member of the study, and what they show together."""
    log:
        "<logs>/study.log",
    localrule: True
    conda:
        "../envs/headwater.yaml"
    params:
        runs=member_runs,
    script:
        "../scripts/study.py"


rule corpus:
    """Rows in training order, held-out rows and the tokenizer."""
    input:
        expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        "<results>/corpus/held_out.zarr",
        "<results>/corpus/tokenizer",


rule checkpoints:
    """Every checkpoint of the baseline, or the published revisions in its place."""
    input:
        CHECKPOINTS,


rule heads:
    """Scores of all heads over the baseline run; the chosen targets and window."""
    input:
        "<results>/heads/scores.tsv",
        "<results>/heads/window.json",
        expand("<results>/heads/targets/{target}.json", target=TARGETS),


rule curvature:
    """EK-FAC factors of every head."""
    input:
        expand("<results>/curvature/{point}.h5", point=POINTS),


rule gradients:
    """Projected gradients of every row of the window, and probe gradients."""
    input:
        expand(
            "<results>/gradients/{point}/{shard}.zarr",
            point=POINTS,
            shard=GRADIENT_SHARDS,
        ),
        expand("<results>/gradients/{point}/{target}.h5", point=POINTS, target=TARGETS),


rule influence:
    """Scores of every row for every target, ranked tables, and their fidelity."""
    input:
        expand("<results>/influence/{target}.zarr", target=TARGETS),
        expand("<results>/influence/{target}.tsv", target=TARGETS),
        "<results>/influence/fidelity.tsv",


rule metagradient:
    """The derivative of targets' scores by every row's weight, and how far it holds."""
    input:
        rules.differentiate.output if METAGRADIENT_TARGETS else [],
        rules.check_linearity.output if METAGRADIENT_TARGETS else [],
        [
            expand(path, smoothing=SMOOTHINGS)
            for path in (rules.smooth_metagradient.output if SMOOTHINGS else [])
        ],


rule examination:
    """How well each ranking finds planted rows (corpus.records), against decoys."""
    input:
        expand("<results>/influence/{target}.examination.tsv", target=TARGETS),


rule variants:
    """How far the released code's choices, or a simpler Hessian, change the ranking."""
    input:
        "<results>/influence/variants.tsv",


rule interventions:
    """The row and the weight of every position, in every arm; how controls match."""
    input:
        expand("<results>/interventions/{run}.h5", run=RUNS),
        rules.compare_rows.output if COMPARED_RUNS else [],


rule retraining:
    """Every arm, retrained."""
    input:
        expand("<results>/retraining/{run}", run=RUNS),


rule evaluation:
    """Metrics of every run, and the effects of the arms."""
    input:
        expand("<results>/evaluation/{arm}", arm=ARMS),
        rules.measure_effects.output if ARM_RUNS else [],
        rules.measure_lds.output if BANK_RUNS else [],


rule catalysts:
    """What the top rows of every target have in common, and what they share."""
    input:
        expand("<results>/catalysts/{target}.tsv", target=TARGETS),
        "<results>/catalysts/between/overlap.tsv",
        rules.compare_removals.output if ARM_RUNS else [],


rule motifs:
    """Skeletons that every target's top rows have more often than random rows."""
    input:
        expand("<results>/catalysts/{target}.motifs.json", target=TARGETS),


rule report:
    """The page, figures, and the summary in words."""
    input:
        expand("<results>/report/{name}", name=[*PAGES, "data"]),
        rules.write_summary.output if CLAIMED else [],


rule figures:
    """Figures for papers: SVG and PDF for one and two columns, tables beside them."""
    input:
        rules.plot_figures.output,
