"""Which heads are studied, and over which training steps.

Both may be given in the config or found from the baseline's curves. What is found was
chosen after seeing the baseline, and every report says so.

Head, `auto`: the head with the highest score at the baseline's last checkpoint, the
score being the one that the target's probe tracks, among those that count as found
(`find_head`) if there are any.

Window, `auto`: from the target's curve between its lowest value (before the peak) and
its peak. `start` is the last checkpoint before the curve has made 10 % of this rise for
good; `end` is the first checkpoint after that at which it has made 90 %.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.corpus.window import Window, WindowRows
from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.identity import Config, check_identity
from headwater.models.sections import asked, unit_of
from headwater.publish import write_json

if TYPE_CHECKING:  # most readers of a window or target have no table
    import pandas as pd

RISE_START, RISE_END = 0.1, 0.9

# A head counts as found if its score is at least this, on a scale up to 1, and so many
# times each of its controls: the same attention to the keys one before and one after
# the right one, and to the right one where nothing matches.
FOUND, TIMES_CONTROL = 0.3, 3.0
CONTROLS = {
    "prefix_matching": (
        "prefix_matching_before",
        "prefix_matching_after",
        "prefix_matching_shuffled",
    )
}
PROBE_VALUE = "probe"  # the metric by which a unit without heads is followed
NOT_FOUND = "no head was found"  # how the message begins that a run has none
Curve = list[tuple[int, float]]


def curve_of(scores: "pd.DataFrame", head: str, score: str) -> Curve:
    """(step, value) of one head's score, ascending in step."""
    picked = scores[scores["head"] == head].sort_values("step")
    return list(zip(picked["step"].tolist(), picked[score].tolist(), strict=True))


@dataclass(frozen=True)
class FoundHead:
    """What a checkpoint's scores say of a head.

    Attributes:
        head: its label.
        score: its score.
        controls: its scores of the same behaviour where there should be none, by name.
        found: whether it does what the score asks for, by the rule of `find_head`.
    """

    head: str
    score: float
    controls: dict[str, float]
    found: bool


def find_head(
    scores: "pd.DataFrame", score: str, some: Collection[str] | None = None
) -> FoundHead:
    """The best head of one checkpoint, and whether it counts as found.

    It does if its score is at least `FOUND`, and `TIMES_CONTROL` times each of the
    score's `CONTROLS`. The best head has the highest score of those that count, or of
    all if none does (ties: the lower head).

    Args:
        scores: a line a head, as `scores.scores_table` makes it.
        score: the column that is asked for.
        some: to look only among these.
    """
    names = list(CONTROLS.get(score, ()))
    if some is not None:
        scores = scores[scores["head"].isin(some)]
    counts = scores[score] >= FOUND
    for name in names:
        counts &= scores[score] >= TIMES_CONTROL * scores[name]
    among = scores[counts] if counts.any() else scores
    best = among["head"][among[score] == among[score].max()]
    label = str(min(Head.parse(label) for label in best))
    place = scores.index[scores["head"] == label][0]
    controls = {name: float(scores[name][place]) for name in names}
    return FoundHead(label, float(scores[score][place]), controls, bool(counts[place]))


def rising_window(curve: Curve) -> Window:
    """The window in which a curve rises, by the rule above.

    Raises:
        HeadwaterError: the curve never rises after its first checkpoint.
    """
    steps = np.array([step for step, _ in curve])
    values = np.array([value for _, value in curve])
    peak = int(values.argmax())
    if peak == 0:
        raise HeadwaterError(
            "window: the target's score never rises above its first value; train "
            "longer (training.steps) or give window.start and window.end"
        )
    low = values[: peak + 1].min()
    rise = values[peak] - low
    below = np.flatnonzero(values[: peak + 1] < low + RISE_START * rise)
    above = np.flatnonzero(values >= low + RISE_END * rise)
    return Window(int(steps[below[-1]]), int(steps[above[above > below[-1]][0]]))


@dataclass(frozen=True)
class Target:
    """One target: a probe and the unit it is asked of.

    Attributes:
        probe: name of the probe.
        unit: label of the unit.
        word: what people call a unit of its sort.
        head: label of the head whose curve tells of it: itself, or the best of those
            that it has parts of; "" if there is none.
        chosen: `auto` or `given`.
        score: the head score that tracks the probe, or `probe` without a head: then the
            probe's own value tells.
        final: that score at the baseline's last checkpoint; None without a head.
        emergence: window of the head's own rise, or None if it does not rise.
        controls: the score's controls at that checkpoint, by name.
        found: whether the head counts as found there (`find_head`).
    """

    probe: str
    unit: str
    word: str
    head: str
    chosen: str
    score: str
    final: float | None
    emergence: Window | None
    controls: dict[str, float]
    found: bool

    @property
    def name(self) -> str:
        """What to call the unit, such as `head L1H3`."""
        return f"{self.word} {self.unit}"

    def series_in(self, name: str) -> tuple[str, str, str]:
        """Metric, kind and name of its curve in a run's table of metrics.

        Args:
            name: the target's.
        """
        if self.head:
            return self.score, "head", self.head
        return PROBE_VALUE, "target", name


@dataclass(frozen=True)
class WindowChoice:
    """The content of `heads/window.json`.

    Attributes:
        window: the window.
        chosen: `auto` or `given`.
        points: the checkpoints at which influence is measured: the window's start, and
            others spread over it; or its end alone.
    """

    window: Window
    chosen: str
    points: list[int]

    def roles(self, names: list[str]) -> dict[str, int]:
        """The step of every role: the window's ends, and the points by name."""
        ends = {"start": self.window.start, "end": self.window.end}
        return {**ends, **dict(zip(names, self.points, strict=True))}


@dataclass(frozen=True)
class Choice:
    """Window and targets together, as the reports need them."""

    window: Window
    window_chosen: str
    targets: dict[str, Target]


def choose_window(
    config: Config, scores: "pd.DataFrame", checkpoints: list[int]
) -> WindowChoice:
    """The window, found or as given, and its points.

    Args:
        scores: the table of head scores: step, head, one column a score.
        checkpoints: steps with a checkpoint.

    Raises:
        HeadwaterError: no window can be found, or it has too few checkpoints; or the
            run was to end when a head is found, and none was.
    """
    wanted = config["window"]
    given = {k: wanted[k] for k in ("start", "end") if wanted[k] != "auto"}
    found = Window(**given) if len(given) == 2 else _found(config, scores)
    window = replace(found, **given)
    if window.start >= window.end:
        raise HeadwaterError(
            f"window: start {window.start} is not before end {window.end}; give both "
            "window.start and window.end"
        )
    points = [window.end]
    if wanted["score_at"] == "start":
        points = spread_points(window, wanted["checkpoints"], checkpoints)
    return WindowChoice(window, "given" if len(given) == 2 else "auto", points)


def _found(config: Config, scores: "pd.DataFrame") -> Window:
    target = choose_target(
        config["targets"][config["window"]["target"]], scores, config
    )
    if config["training"].get("stop") and not target.found:
        raise HeadwaterError(
            f"{NOT_FOUND} by step {scores['step'].max():,}, the last of the training: "
            f"{target.head} has the highest {target.score} score, {target.final:.2f} "
            f"(wanted: {FOUND}, and {TIMES_CONTROL:g} times its controls), so there is "
            "nothing to trace; raise training.steps or take another seed"
        )
    return rising_window(curve_of(scores, target.head, target.score))


def spread_points(window: Window, count: int, checkpoints: list[int]) -> list[int]:
    """Checkpoints spread evenly over the window, from its start.

    Each is the last one at or before its place.

    Raises:
        HeadwaterError: fewer checkpoints in the window than wanted.
    """
    places = np.linspace(window.start, window.end, count, endpoint=False)
    points = [max(step for step in checkpoints if step <= place) for place in places]
    if len(set(points)) < count:
        raise HeadwaterError(
            f"window.checkpoints: {count} wanted, but the window, steps {window.start} "
            f"to {window.end}, has too few; lower it or training.checkpoint_every"
        )
    return points


def heads_meant(settings: Config, config: Config) -> list[str] | None:
    """The heads that a target's unit has parts of; None for `auto`: any."""
    label = asked(settings)
    if label == "auto":
        return None
    return [str(head) for head in unit_of(label, config).heads]


def choose_target(settings: Config, scores: "pd.DataFrame", config: Config) -> Target:
    """The target of a section of the config: its unit, and how its head emerges.

    Args:
        settings: the section.
        config: the whole.
    """
    from headwater.probes import PROBES  # brings torch, which most readers do not need

    label, probe = asked(settings), PROBES[settings["probe"]]
    auto = label == "auto"
    some = heads_meant(settings, config)
    if some == []:
        word = unit_of(label, config).word
        about = settings["probe"], label, word, "", "given", PROBE_VALUE
        return Target(*about, None, None, {}, False)
    last = scores[scores["step"] == scores["step"].max()]
    best = find_head(last, probe.tracks, some)
    try:
        window = rising_window(curve_of(scores, best.head, probe.tracks))
    except HeadwaterError:
        window = None
    unit = unit_of(best.head if auto else label, config)
    return Target(
        probe=settings["probe"],
        unit=str(unit),
        word=unit.word,
        head=best.head,
        chosen="auto" if auto else "given",
        score=probe.tracks,
        final=best.score,
        emergence=window,
        controls=best.controls,
        found=best.found,
    )


def write_choice(
    path: Path, choice: WindowChoice | Target, identity: dict[str, Any]
) -> None:
    """Publish `window.json` or `targets/<name>.json`."""
    write_json(path, {"identity": identity, **asdict(choice)})


def read_window(path: Path, config: Config) -> WindowChoice:
    """Read `window.json`, checked against the config."""
    value = _read(path, config)
    return WindowChoice(Window(**value["window"]), value["chosen"], value["points"])


def open_window(
    window: str | Path, rows: Iterable[str | Path], config: Config
) -> tuple[WindowChoice, WindowRows]:
    """The choice of the window, and its rows.

    Args:
        rows: the row shards, in training order.
    """
    choice = read_window(Path(window), config)
    return choice, WindowRows([Path(path) for path in rows], choice.window, config)


def read_target(path: Path, config: Config) -> Target:
    """Read `targets/<name>.json`, checked against the config."""
    value = _read(path, config)
    rise = value["emergence"] and Window(**value["emergence"])
    return Target(**{**value, "emergence": rise})


def read_choice(window: Path, targets: Iterable[Path], config: Config) -> Choice:
    """Read the window and all targets; a target's name is its file's."""
    found = read_window(window, config)
    read = {path.stem: read_target(path, config) for path in targets}
    return Choice(found.window, found.chosen, read)


def _read(path: Path, config: Config) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check_identity(value.pop("identity"), config, path)
    return value
