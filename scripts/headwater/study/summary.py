"""A study in words: its members, every verdict, and nothing stronger."""

import textwrap
from collections.abc import Iterator

import pandas as pd

from headwater.config.study import what_varies
from headwater.evaluation.verdicts import FEWEST, LEVEL
from headwater.report import claims
from headwater.study.results import Study
from headwater.study.transfer import matrix, transfer

WIDTH, BESIDE = 88, 5  # letters of a line; members that stand side by side
HOW = (
    "Every arm is compared with its controls member by member. A claim holds if a "
    "one-sided t test of the differences reaches {level} %, corrected for the {count} "
    "claims of verdicts.tsv, and they point one way by an exact test of signs, which "
    "takes {fewest} members. In brackets: the 95 % interval of one claim."
)

TRANSFER = (
    "Fresh rows after the motifs of one member (lines), in the training of another "
    "(columns): area in % of that member's baseline, in brackets that of the best "
    "control."
)


def summary_text(study: Study, verdicts: pd.DataFrame, places: dict[str, str]) -> str:
    """The summary, lines of at most 88 characters but for long names.

    Args:
        places: path to what is there, for "where to look".
    """
    varies, many = what_varies(study.config["study"]), len(study.members)
    title = f"# {study.config['experiment']}: a study of {many} {varies}"
    blocks = [title, *_members(study), "\n".join(_others(study))]
    if len(study.judged):
        how = HOW.format(level=round(100 * LEVEL), count=len(verdicts), fewest=FEWEST)
        target = study.config["window"]["target"]
        told = claims.claim_sentences(verdicts, study.config["arms"], target)
        blocks += [
            textwrap.fill(how, WIDTH),
            "\n".join(map(_item, told.values())),
            "\n".join(claims.verdict_table(verdicts)),
            _transfer(study),
        ]
    width = max(map(len, places))
    looks = (f"{path:<{width}}  {what}" for path, what in places.items())
    blocks.append("\n".join(looks))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _members(study: Study) -> Iterator[str]:
    """Head, window, and the area of every arm in % of the baseline's, by member."""
    judged = study.judged
    for first in range(0, len(judged), BESIDE):
        part = judged[first : first + BESIDE]
        areas = [member.areas() for member in part]
        windows = [member.window for member in part if member.window]
        rows = [
            ("", *(member.name for member in part)),
            ("head", *(member.head for member in part)),
            ("window from", *(f"{window.start:,}" for window in windows)),
            ("window to", *(f"{window.end:,}" for window in windows)),
            ("area, % of the baseline's", *[""] * len(part)),
        ]
        rows += [
            (arm, *(f"{100 * one[arm]:z.0f}" for one in areas))
            for arm in study.config["arms"]
        ]
        yield "\n".join(claims.table_lines(rows))


def _others(study: Study) -> Iterator[str]:
    """The members that the verdicts are not about, and why."""
    for member in study.members:
        if not member.judged:
            yield _item(f"{member.name} is not in the verdicts: {member.state}.")


def _transfer(study: Study) -> str:
    """Whose motifs help in whose training; "" where no arm is of a member's motifs."""
    rows = matrix(transfer(study))
    if not rows:
        return ""
    return "\n".join([textwrap.fill(TRANSFER, WIDTH), *claims.table_lines(rows)])


def _item(text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_on_hyphens=False,  # of folders
    )
