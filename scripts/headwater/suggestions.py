"""What was probably meant: the known name nearest to one that nothing has."""

import difflib
from collections.abc import Iterable

from headwater.steps import step_name, step_of

MOST_NAMED = 20


def closest(word: object, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is like it."""
    matches = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return matches[0] if matches else None


def suggestion(word: object, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean "damping"?`, or `otherwise` when nothing is close."""
    match = closest(word, known)
    return f'; did you mean "{match}"?' if match else otherwise


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Text for a name that nothing has, e.g. a target that is not in the config."""
    known = list(known)
    more = ", ..." if len(known) > MOST_NAMED else ""
    otherwise = f"; known: {', '.join(known[:MOST_NAMED])}{more}"
    return f'no {kind} "{name}"' + suggestion(name, known, otherwise)


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
    return [step_name(step) for step in below + above]
