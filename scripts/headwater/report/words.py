"""Arms, heads and scores in plain words, for figures, pages and the summary."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from headwater.heads.targets import Choice, Target
from headwater.identity import Config
from headwater.influence.ranking import TOP_FRACTION
from headwater.interventions.arms import ACTIONS, rows_label
from headwater.interventions.kinds import KINDS, alike_of, score_of
from headwater.interventions.scores import DEFAULT, METAGRADIENT, SCORES, THROUGH
from headwater.interventions.slopes import reweights
from headwater.report.tables import Arms, main_domain
from headwater.report.visible import plain

SCORE_NAMES = {
    "prefix_matching": "prefix-matching score",
    "previous_token": "previous-token score",
    "copying": "copying score",
}
SCORE_MEANINGS = {
    "prefix_matching": "attends to what followed the last occurrence of the current "
    "token",
    "previous_token": "attends to the token just before the current one",
    "copying": "writes copies of the tokens that it attends to",
}
SCORE_RANGES = {
    "prefix_matching": "0 to 1",
    "previous_token": "0 to 1",
    "copying": "-1 to 1",
}
PROBE_MEANINGS = {
    "activation": "mean value of the neuron in the rows given",
    "copying": "what the head alone adds to the logit of the token to be repeated",
    "dataset": "log-probability of the wanted tokens in the rows given (nats)",
    "direct_logits": "what the unit alone adds to the logits of the wanted tokens in "
    "the rows given",
    "induction": "log-probability of the right token where random tokens repeat (nats)",
    "prefix_matching": "attention to what followed the last occurrence of the current "
    "token (0 to 1)",
    "previous_token": "attention to the token just before the current one (0 to 1)",
}
NO_ICL = "not measured, as no held-out row holds enough of one document"
MEAN_SCORES = (
    "A row's score is the mean over those of {checkpoints} checkpoints that it is "
    "trained after, each brought to the spread of the first's (root mean square)."
)
BY_METAGRADIENT = (
    "Rows are ranked by the metagradient: how the target's probe changes with a row's "
    "weight, through the training of the window. What is said of fidelity and of "
    "single tokens is of the paper's score (mda)."
)

BY_SMOOTHED = (
    "Rows are ranked by {name}: {formula}. What is said of fidelity and of single "
    "tokens is of the paper's score (mda)."
)


def ranked_by(config: Config) -> str:
    """What must be told of the score that rows are ranked by; "" of the paper's own."""
    if (method := config["influence"]["method"]) == METAGRADIENT:
        return BY_METAGRADIENT
    if method in THROUGH:
        return BY_SMOOTHED.format(name=method, formula=SCORES[method].formula)
    checkpoints = config["window"]["checkpoints"]
    return MEAN_SCORES.format(checkpoints=checkpoints) if checkpoints > 1 else ""


def whole_percent(share: float) -> str:
    """A share as a whole percentage, halves rounded up as people do."""
    return f"{int(100 * share + 0.5)} %"


def percent(share: float) -> str:
    """A share as a percentage, such as `10 %` or `2.5 %`."""
    return f"{100 * share:.3g} %"


def factor(value: float) -> str:
    """A ratio, such as `2.7x` or `0.60x`."""
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    return f"{value:.{digits}f}x"


def about(target: Target) -> str:
    """What a target's unit is asked about, in one sentence."""
    if target.unit == target.head:
        return f"A head that {SCORE_MEANINGS[target.score]}."
    return f"Asked about: {PROBE_MEANINGS[target.probe]}."


def how_chosen(target: Target, choice: Choice) -> str:
    """How unit and window came about, in one honest sentence."""
    head, window = target.chosen == "auto", choice.window_chosen == "auto"
    if not (head or window):
        word = target.word[0].upper() + target.word[1:]
        return f"{word} and window are given in the config."
    what = "Head and window were"
    if not (head and window):
        what = "The head was" if head else "The window was"
    found = f"{what} chosen after seeing the baseline"
    if not head:
        return f"{found}."
    return f"{found}: of all heads, it has the highest {SCORE_NAMES[target.score]}."


def listed(words: Iterable[str]) -> str:
    """Words as in a sentence: `a`, `a and b`, `a, b and c`; each once."""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last


def alike(facts: Iterable[str]) -> str:
    """In what rows are alike, such as `domains and loss`; "" without any facts."""
    names = ["domains" if fact == "domain" else fact for fact in facts]
    return listed(names) if names else ""


def arm_labels(
    arms: Arms, domains: Mapping[str, pd.DataFrame], window_target: str
) -> dict[str, str]:
    """Every arm in words, given the targets' domain tables; no two get the same."""
    labels = {}
    for name, arm in arms.items():
        label = ACTIONS[arm["action"]].label.format(rows=_rows(arm, domains))
        if arm.get("target", window_target) != window_target:
            label += f" for {arm['target']}"
        label += by_score(arm) + origin(arm)
        labels[name] = label + (f" ({arm['draws']} draws)" if arm["draws"] > 1 else "")
    often = Counter(labels.values())
    return {
        name: f"{label} [{name}]" if often[label] > 1 else label
        for name, label in labels.items()
    }


def by_score(arm: Mapping[str, Any]) -> str:
    """What a label must add: by which score, where the arm depends on another."""
    kind, score = KINDS[arm["rows"]], score_of(arm)
    depends = kind.role == "judged" or arm.get("disjoint", kind.disjoint)
    depends = depends or reweights(arm)
    return f" by {score}" if depends and score != DEFAULT else ""


def origin(arm: Mapping[str, Any]) -> str:
    """What a label must add: whose motifs, unless the run's own; which places."""
    text = ""
    if "motifs_of" in arm:
        text = f" (motifs of {arm['motifs_of']})"
    elif "motifs" in arm:
        text = " (motifs of a file)"
    if "at" in arm:
        text += f" from step {arm['at']:,} on"
    if "from" in arm and "to" in arm:
        ends = (f"{100 * share:g}" for share in (*arm["from"], *arm["to"]))
        text += " from {} to {} % of the window into {} to {} %".format(*ends)
    return text


def domain_of(arm: Mapping[str, Any], domains: Mapping[str, pd.DataFrame]) -> str:
    """Rows of the domain that has most of the top rows, in words."""
    # The domain tables count the top 10 %. For arms of another size the domain of most
    # top rows could be another one, so it is not named.
    if arm["fraction"] != TOP_FRACTION:
        return "rows of the top domain"
    return f"'{plain(main_domain(domains[arm['target']]))}' rows"


def _rows(arm: Mapping[str, Any], domains: Mapping[str, pd.DataFrame]) -> str:
    label, share = rows_label(arm), percent(arm["fraction"])
    domain = domain_of(arm, domains) if "{domain}" in label else ""
    return label.format(share=share, domain=domain, alike=alike(alike_of(arm)))
