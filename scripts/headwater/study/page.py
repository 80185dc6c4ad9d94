"""A study as a page: its verdicts as chips, its members side by side, with links."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from headwater.config.study import what_varies
from headwater.evaluation.effects import series
from headwater.interventions.runs import BASELINE, run_tables, runs_of
from headwater.interventions.subsets import claimed
from headwater.report import claims, words
from headwater.report.page.causal import drawn_arms
from headwater.report.page.document import VERSION
from headwater.report.page.effects import chips, effects
from headwater.report.page.render import render
from headwater.report.page.values import each, rounded
from headwater.report.tables import read_tables
from headwater.study.results import Member, Study
from headwater.study.summary import TRANSFER
from headwater.study.transfer import matrix, transfer

NOT_JUDGED = [("answer", "Answer"), ("members", "Members")]
ACROSS, EFFECTS = [("transfer", "Motifs across members")], [("effects", "Effects")]
LIMITS = (
    "A study repeats one experiment with other seeds, orders or models. It says "
    "nothing of other corpora, and its members share the code and the machine.",
)


def study_page(study: Study, verdicts: pd.DataFrame, results: Path) -> str:
    """The page of a study.

    Args:
        results: folder with the results of all experiments.
    """
    report = _report(study, verdicts, results)
    judged, moved = bool(len(verdicts)), matrix(transfer(study))
    across = ACROSS if moved else []
    return render(
        "study.html",
        report,
        sections=[*NOT_JUDGED, *across, *(EFFECTS if judged else [])],
        claims=list(_told(study, verdicts)) if judged else [],
        members=list(_members(study)),
        arms=list(study.config["arms"]),
        limits=LIMITS,
        transfer=moved,
        transfer_about=TRANSFER,
        verdicts_file="verdicts.tsv",
    )


def _report(study: Study, verdicts: pd.DataFrame, results: Path) -> dict[str, Any]:
    """The numbers, under the names that the page of one run has."""
    config = study.config
    arms, target = claimed(config["arms"]), config["window"]["target"]
    labels = {name: claims.doing(arm) for name, arm in arms.items()}
    judged = bool(len(verdicts))
    nothing: dict[str, Any] = dict.fromkeys(
        ("window", "rows", "census", "curves", "specificity"), None
    )
    many = len(study.members)
    unit = f"head {study.unit}" if study.unit else f"the unit of {target}"
    return nothing | {
        "version": VERSION,
        "experiment": config["experiment"],
        "question": f"Which training rows build {unit}? A study of {many} "
        f"{what_varies(config['study'])}",
        "main": 0,
        **{name: [] for name in ("targets", "domains", "documents", "special")},
        **{name: [] for name in ("scores", "enrichment", "fidelity", "pairs")},
        "vocabulary": {},
        "arms": drawn_arms(arms, labels, {}),
        "effects": effects(verdicts, arms) if judged else None,
        "chips": chips(verdicts, arms, target) if judged else [],
        "study": {
            "varies": what_varies(config["study"]),
            "metric": _metric(study),
            "members": [_panel(one, list(arms), results) for one in study.members],
        },
    }


def _metric(study: Study) -> dict[str, str]:
    names = [words.SCORE_NAMES[one.score] for one in study.judged]
    title = words.listed(names) if names else "head score"
    return {"id": "head", "title": title, "unit": "score"}


def _panel(member: Member, arms: list[str], results: Path) -> dict[str, Any]:
    """One member: what it is, where its own page is, and the curves of its head."""
    window = member.window
    return {
        "name": member.name,
        "experiment": member.experiment,
        "state": member.state,
        "judged": member.judged,
        "head": member.head,
        "window": window and {"start": window.start, "end": window.end},
        "href": href_of(member),
        "runs": list(_runs(member, arms, results)) if member.judged else [],
    }


def href_of(member: Member) -> str:
    """Where a member's page is, from that of the study."""
    return f"../../{member.experiment}/report/index.html"


def _runs(member: Member, arms: list[str], results: Path) -> Iterator[dict[str, Any]]:
    folder, window = results / member.experiment / "evaluation", member.window
    names = [BASELINE, *arms]
    tables = read_tables(run_tables(folder / name for name in names))
    for place, arm in enumerate(names):
        runs = [BASELINE] if arm == BASELINE else runs_of(arm, tables)
        for draw, run in enumerate(runs):
            curve = series(tables[run], member.score, "head", member.head)
            if window is not None:
                curve = curve.loc[window.start : window.end]
            values = {"head": each(curve)}
            steps = [int(step) for step in curve.index]
            yield {"arm": place, "draw": draw, "steps": steps, "values": values}


def _members(study: Study) -> Iterator[tuple[Member, str, list[Any]]]:
    """Every member, the place of its page, and the area of every arm in %."""
    for member in study.members:
        areas = member.areas() if member.judged else pd.Series(dtype=float)
        values = [rounded(100 * areas.get(arm, float("nan"))) for arm in _arms(study)]
        yield member, href_of(member), values


def _arms(study: Study) -> list[str]:
    return list(study.config["arms"])


def _told(study: Study, verdicts: pd.DataFrame) -> list[str]:
    target = study.config["window"]["target"]
    found = claims.claim_sentences(verdicts, study.config["arms"], target)
    return list(found.values())
