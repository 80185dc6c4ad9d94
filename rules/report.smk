# Figures, the page, and the summary.

REPORT = os.path.relpath(
    Path(workflow.basedir).parent / "scripts" / "headwater" / "report"
)
PAGE_FILES = sorted(
    str(path)
    for folder in ("templates", "static")
    for path in (Path(REPORT) / folder).rglob("*.*")
    if path.is_file()
)
# What the report has, and the summary's words for it. Without arms that claim something,
# nothing can be said of their effects.
PAGES = {
    "index.html": "the page, with all of it",
    "enrichment.png": "the domains of the top rows",
}
if CLAIMED:
    PAGES = {
        "index.html": PAGES["index.html"],
        "emergence.png": "the curves of all arms",
        "enrichment.png": PAGES["enrichment.png"],
        "verdicts.tsv": "every claim, with its verdict",
    }


rule write_report:
    input:
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        heads="<results>/heads/scores.tsv",
        scores=expand("<results>/influence/{target}.zarr", target=TARGETS),
        tokens=expand("<results>/influence/{target}.tokens.h5", target=TARGETS),
        domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
        fidelity="<results>/influence/fidelity.tsv",
        sample="<results>/influence/fidelity.rows.tsv",
        examination=if_there("influence/{target}.examination.tsv"),
        variants=if_there("influence/variants.tsv"),
        catalysts=if_there("catalysts/{target}.json"),
        motifs=own_motifs,
        lds="<results>/evaluation/lds.tsv" if BANK_RUNS else [],
        match="<results>/interventions/match.tsv" if COMPARED_RUNS else [],
        linearity=rules.check_linearity.output if METAGRADIENT_TARGETS else [],
        runs=expand("<results>/evaluation/{arm}", arm=ARMS) if CLAIMED else [],
        arms=built(RUNS) if CLAIMED else [],
        effects="<results>/evaluation/effects.tsv" if CLAIMED else [],
        summary="<results>/evaluation/summary.tsv" if CLAIMED else [],
        specificity="<results>/evaluation/specificity.tsv" if CLAIMED else [],
        verdicts="<results>/report/verdicts.tsv" if CLAIMED else [],
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        packed=[] if ROWS else PACKED,
        tokenizer="<results>/corpus/tokenizer",
        published=START,
        templates=PAGE_FILES,
    output:
        page=report(
            "<results>/report/index.html",
            caption="../workflow/report/page.rst",
            category="The report",
            labels={"shows": "Everything"},
        ),
        data=directory("<results>/report/data"),
    log:
        "<logs>/report/write_report.log",
    benchmark:
        "<benchmarks>/report/write_report.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(3000),
        runtime=longer(30),
    params:
        code=digest("write_report"),
        settings=section("arms", "window", "report"),
    script:
        "../scripts/write_report.py"


rule plot_enrichment:
    input:
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
    output:
        png="<results>/report/enrichment.png",
        svg="<results>/report/enrichment.svg",
    log:
        "<logs>/report/plot_enrichment.log",
    benchmark:
        "<benchmarks>/report/plot_enrichment.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=longer(10),
    params:
        code=digest("plot_enrichment"),
    script:
        "../scripts/plot_enrichment.py"


if CLAIMED:

    rule plot_emergence:
        input:
            window="<results>/heads/window.json",
            targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
            scores="<results>/heads/scores.tsv",
            runs=expand("<results>/evaluation/{arm}", arm=ARMS),
            arms=built(RUNS),
            domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
        output:
            png="<results>/report/emergence.png",
            svg="<results>/report/emergence.svg",
        log:
            "<logs>/report/plot_emergence.log",
        benchmark:
            "<benchmarks>/report/plot_emergence.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("plot_emergence"),
            settings=section("arms", "window"),
        script:
            "../scripts/plot_emergence.py"

    rule judge_arms:
        input:
            target=expand(
                "<results>/heads/targets/{target}.json",
                target=config["window"]["target"],
            ),
            effects="<results>/evaluation/effects.tsv",
            control_units="<results>/evaluation/control_units.tsv",
        output:
            "<results>/report/verdicts.tsv",
        log:
            "<logs>/report/judge_arms.log",
        benchmark:
            "<benchmarks>/report/judge_arms.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("judge_arms"),
            settings=section("arms", "window"),
        script:
            "../scripts/judge_arms.py"

    rule write_summary:
        input:
            window="<results>/heads/window.json",
            targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
            baseline=f"<results>/evaluation/{BASELINE_RUN}",
            summary="<results>/evaluation/summary.tsv",
            specificity="<results>/evaluation/specificity.tsv",
            verdicts="<results>/report/verdicts.tsv",
            domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
            fidelity="<results>/influence/fidelity.tsv",
        output:
            "<results>/report/summary.md",
        log:
            "<logs>/report/write_summary.log",
        benchmark:
            "<benchmarks>/report/write_summary.tsv"
        localrule: True
        conda:
            "../envs/headwater.yaml"
        threads: 1
        resources:
            mem_mb=more(1000),
            runtime=longer(10),
        params:
            code=digest("write_summary"),
            places=PAGES,
            settings=section("arms", "window"),
        script:
            "../scripts/write_summary.py"


# Figures for papers. They are asked for by name (`snakemake figures`), as few runs are
# ever printed. What claims nothing has no curves and no effects.
FIGURES = [
    "census",
    "enrichment",
    "scores",
    *(["emergence", "effects"] * bool(CLAIMED)),
]


rule plot_figures:
    input:
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        scores="<results>/heads/scores.tsv",
        domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
        influence=expand("<results>/influence/{target}.zarr", target=TARGETS),
        runs=expand("<results>/evaluation/{arm}", arm=ARMS) if CLAIMED else [],
        arms=built(RUNS) if CLAIMED else [],
        effects="<results>/evaluation/effects.tsv" if CLAIMED else [],
    output:
        expand("<results>/report/figures/{name}.tsv", name=FIGURES),
        expand(
            "<results>/report/figures/{name}{size}.{form}",
            name=FIGURES,
            size=["", "-column"],
            form=["svg", "pdf"],
        ),
    log:
        "<logs>/report/plot_figures.log",
    benchmark:
        "<benchmarks>/report/plot_figures.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(1500),
        runtime=longer(10),
    params:
        code=digest("plot_figures"),
        figures=FIGURES,
        settings=section("arms", "window"),
    script:
        "../scripts/plot_figures.py"
