"""A run in a few lines, for whoever types its name in a notebook."""

from collections.abc import Iterator

from headwater.errors import HeadwaterError
from headwater.library.results import Results
from headwater.report.visible import plain

_RESULTS = {
    "scores": "influence/{target}.zarr",
    "arm_rows": "interventions/*.h5",
    "curves": "evaluation/baseline",
    "effects": "evaluation/effects.tsv",
    "verdicts": "report/verdicts.tsv",
}


def about(run: Results) -> str:
    """What there is of a run; nothing is raised for one that has just begun."""
    lines = [f"Run {plain(run.name)}, results in {plain(str(run.folder))}"]
    try:
        lines += (f"  {name:<9}{text}" for name, text in _facts(run))
    except HeadwaterError as error:
        lines.append(f"  {plain(str(error))}")
    return "\n".join(lines)


def _facts(run: Results) -> Iterator[tuple[str, str]]:
    window, rows = run.window, run.rows
    yield (
        "window",
        f"steps {window.start:,} to {window.end:,}: {len(rows):,} rows, "
        f"{rows.start:,} to {rows.stop - 1:,}",
    )
    at = ", ".join(f"{step:,}" for step in run.points)
    settings = run.config.get("influence")  # known when rows have been scored
    if settings:
        yield "scored", f"at step {at}, damping {settings['damping']:g}"
    for name, target in run.targets.items():
        yield "target", f"{plain(name)}: {target.name}, probe {target.probe}"
    yield "arms", ", ".join(map(plain, run.arms)) or "none"
    places = {name: file.format(target=run.main) for name, file in _RESULTS.items()}
    if "revisions" in run.config["checkpoints"]:  # these have no arms
        places = {name: places[name] for name in ("scores", "curves")}
    gone = [name for name, file in places.items() if not run.has(file)]
    if gone:
        yield "not yet", ", ".join(gone)
