# Figures, pages and the summary.

TEMPLATES = os.path.relpath(
    Path(workflow.basedir).parent / "scripts" / "headwater" / "report" / "templates"
)

# What the report has, and the summary's words for it. Without arms that claim something,
# nothing can be said of their effects.
PAGES = {
    "enrichment.png": "the domains of the top rows",
    "top_rows.html": "the highest rows as text",
}
if CLAIMED:
    PAGES = {
        "emergence.png": "the curves of all arms",
        **PAGES,
        "verdicts.tsv": "every claim, with its verdict",
        "summary.html": "every number behind this page",
    }


rule plot_enrichment:
    input:
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
    output:
        png="<results>/report/enrichment.png",
        svg=report(
            "<results>/report/enrichment.svg",
            caption="../workflow/report/enrichment.rst",
            category="The top rows",
            labels={"shows": "Their domains"},
        ),
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


rule show_top_rows:
    input:
        window="<results>/heads/window.json",
        targets=expand("<results>/heads/targets/{target}.json", target=TARGETS),
        ranked=expand("<results>/influence/{target}.tsv", target=TARGETS),
        tokens=expand("<results>/influence/{target}.tokens.h5", target=TARGETS),
        rows=expand("<results>/corpus/{shard}.zarr", shard=SHARDS),
        tokenizer="<results>/corpus/tokenizer",
        published=START,
        templates=expand(
            "{folder}/{name}.html",
            folder=TEMPLATES,
            name=["page", "tables", "top_rows"],
        ),
    output:
        report(
            "<results>/report/top_rows.html",
            caption="../workflow/report/top_rows.rst",
            category="The top rows",
            labels={"shows": "Their text and sources"},
        ),
    log:
        "<logs>/report/show_top_rows.log",
    benchmark:
        "<benchmarks>/report/show_top_rows.tsv"
    localrule: True
    conda:
        "../envs/headwater.yaml"
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=longer(10),
    params:
        code=digest("show_top_rows"),
        settings=section("report"),
    script:
        "../scripts/show_top_rows.py"


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
            svg=report(
                "<results>/report/emergence.svg",
                caption="../workflow/report/emergence.rst",
                category="The causal test",
                labels={"shows": "Curves of all arms"},
            ),
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
            effects="<results>/evaluation/effects.tsv",
            specificity="<results>/evaluation/specificity.tsv",
            verdicts="<results>/report/verdicts.tsv",
            domains=expand("<results>/influence/{target}.domains.tsv", target=TARGETS),
            fidelity="<results>/influence/fidelity.tsv",
            published=START,
            templates=expand(
                "{folder}/{name}.html",
                folder=TEMPLATES,
                name=["page", "summary", "tables"],
            ),
        output:
            text="<results>/report/summary.md",
            page=report(
                "<results>/report/summary.html",
                caption="../workflow/report/summary.rst",
                category="The causal test",
                labels={"shows": "Summary and tables"},
            ),
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
