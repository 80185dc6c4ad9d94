"""Names of a model's revisions. Read while rules are parsed, so it imports little."""

import difflib
import re


def nearest(revision: str, names: list[str]) -> list[str]:
    """The existing revisions nearest to one that does not exist, at most four.

    For `step<N>` the two below and the two above, else those written most alike.
    """
    wanted = step_of(revision)
    steps = sorted(n for name in names if (n := step_of(name)) is not None)
    if wanted is None or not steps:
        return difflib.get_close_matches(revision, names, n=4, cutoff=0.3)
    below = [step for step in steps if step < wanted][-2:]
    above = [step for step in steps if step > wanted][:2]
    return [f"step{step}" for step in below + above]


def step_of(revision: str) -> int | None:
    """N of `step<N>`; None for any other name."""
    found = re.fullmatch(r"step(\d+)", revision)
    return int(found[1]) if found else None
