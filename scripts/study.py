"""Run every member of a study, then say what they show together."""

import json
import sys
from pathlib import Path

from headwater import job
from headwater.config.study import members
from headwater.errors import HeadwaterError
from headwater.locks import exclusive
from headwater.publish import write_text
from headwater.report import style
from headwater.report.figures.base import SIZES, applied, save
from headwater.study import paper
from headwater.study.figure import draw
from headwater.study.page import study_page
from headwater.study.results import Study, ended_early, grew_none, read_member
from headwater.study.running import Runs
from headwater.study.summary import summary_text
from headwater.study.transfer import motif_members, transfer, without_motifs
from headwater.tables import write_table

TRANSFER = "transfer.tsv"
PLACES = {
    "index.html": "the page of the study, with links to its members' own",
    "verdicts.tsv": "every claim, with its numbers and verdict",
    "members.tsv": "the members, with the area of every arm",
    TRANSFER: "whose motifs help in whose training, where arms are of motifs",
    "areas.png": "arms beside their controls, member by member",
    "figures": "the same for papers, with its table",
}


def commands(found, folder, words):
    """The command of every member, whose config is written beside the results."""
    made = {}
    for name, member in found.items():
        file = folder / f"{name}.yaml"
        write_text(file, json.dumps(member, indent=1) + "\n")  # all text in quotes
        typed = [*words, "--configfile", str(file)]
        made[name] = [sys.executable, "-m", "snakemake", *typed]
    return made


def run_members(found, folder, words, logs, at_once):
    """Run members side by side; returns why some failed, by name."""
    if not found:
        return {}
    runs = Runs(commands(found, folder, words), logs)
    failed = runs.run(at_once)
    if runs.interrupted:
        sys.exit(128 + runs.interrupted)
    return failed


def run_all(config, found, folder, words, logs, at_once):
    """Run all members; before that those whose motifs others wait for, up to these.

    Arms after motifs of a member that has none are left out of the study.

    Returns:
        The study's config and the members, as they were run, and why members failed.
    """
    first = {name: found[name] for name in motif_members(found)}
    typed = ["motifs", *words]
    failed = run_members(first, folder, typed, logs / "motifs", at_once)
    lost = {found[name]["experiment"] for name in failed}
    kept = without_motifs(config, lost)
    if gone := [name for name in config["arms"] if name not in kept["arms"]]:
        text = "without the arms %s: there are no motifs of %s"
        job.logger.warning(text, ", ".join(gone), ", ".join(sorted(lost)))
    found = {name: without_motifs(member, lost) for name, member in found.items()}
    left = {name: member for name, member in found.items() if name not in failed}
    failed |= run_members(left, folder, words, logs, at_once)
    return kept, found, failed


def judge(config, found, failed, results):
    """All members as they are now."""
    return Study(
        config,
        [
            ended_early(name, member, failed[name])
            if name in failed
            else read_member(name, member, results)
            for name, member in found.items()
        ],
    )


def write(study, folder, results):
    """Tables, figure and words; returns the words."""
    verdicts = study.verdicts()
    write_table(folder / "members.tsv", study.table())
    write_table(folder / "verdicts.tsv", verdicts)
    moved = transfer(study)
    if len(moved):
        write_table(folder / TRANSFER, moved)
    with style.applied():
        figure = draw(study, verdicts)
        style.save_figure(figure, folder / "areas.png", folder / "areas.svg")
    write_text(folder / "index.html", study_page(study, verdicts, results))
    draw_for_papers(study, verdicts, folder / "figures")
    there = {n: what for n, what in PLACES.items() if n != TRANSFER or len(moved)}
    places = {str(folder / name): what for name, what in there.items()}
    text = summary_text(study, verdicts, places)
    write_text(folder / "summary.md", text)
    return text


def draw_for_papers(study, verdicts, folder):
    """The figure as SVG and PDF in two sizes, its table beside it."""
    folder.mkdir(exist_ok=True)
    areas = paper.table(study, verdicts)
    write_table(folder / "areas.tsv", areas)
    with applied():
        for size in SIZES:
            drawn = paper.draw(areas, study.config["arms"], size)
            save(drawn, folder / f"areas{size.suffix}")


def main(snakemake):
    with job.start(snakemake) as config:
        found = members(config)
        if not found:
            raise HeadwaterError(
                "study: this config has none; name its members, such as "
                "study: {seeds: [0, 1, 2, 3, 4]}"
            )
        results, (words, at_once) = Path("results"), snakemake.params.runs
        folder = results / config["experiment"] / "study"
        logs = Path(snakemake.log[0]).parent / "study/members"
        with exclusive(folder):
            own = config, found, folder, words, logs, at_once
            kept, found, failed = run_all(*own)
            print("\n" + write(judge(kept, found, failed, results), folder, results))
        failed = [name for name, reason in failed.items() if not grew_none(reason)]
        if failed:
            raise HeadwaterError(
                f"{len(failed)} of {len(found)} members failed: {', '.join(failed)}; "
                f"the study is of the others; see {logs}/, then run it again"
            )


if "snakemake" not in globals():
    sys.exit("a rule's script; type: .venv/bin/snakemake --cores all study")
main(snakemake)  # noqa: F821
