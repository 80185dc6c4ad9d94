"""Questions as they are typed and told: checked before anything slow is imported."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headwater import seals
from headwater.config.target_checks import PROBES, SUBJECTS, WITH_ROWS
from headwater.errors import HeadwaterError
from headwater.heads.targets import read_target
from headwater.identity import Config
from headwater.influence.question import Question
from headwater.models.sections import unit_of
from headwater.projection.stored import check_stored, check_unit
from headwater.publish import write_text
from headwater.report.visible import plain
from headwater.suggestions import suggestion
from headwater.units import HEAD, Unit

if TYPE_CHECKING:
    from headwater.heads.targets import WindowChoice

DATA = """
a line of --data is a JSON object: {"text": "..."} or {"tokens": [ids]}, and if you like
"positions": [...] (from 0; by default all but the last) with "targets": [ids] (by
default the row's own next tokens)"""


def above(bound: float) -> Callable[[str], float]:
    """A finite number above a bound, for argparse."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not bound < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not above {bound}")
        return value

    return read


def between(least: int, most: int) -> Callable[[str], int]:
    """A whole number of a range, for argparse."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            words = f"{text} is no whole number from {least} to {most:,}"
            raise argparse.ArgumentTypeError(words)
        return int(text)

    return read


def add_question(parser: argparse.ArgumentParser) -> None:
    """The words that a question consists of."""
    parser.add_argument(
        "unit",
        help="such as L1H3, L1G0, L2N17, L1H3+L0H2; or the name of a target, which "
        "has a probe besides",
    )
    parser.add_argument("--probe", choices=PROBES, help="what is asked of the unit")
    parser.add_argument(
        "--data", metavar="FILE", help="rows that the probe is asked on"
    )
    parser.add_argument("--damping", type=above(0), help="by default the config's")
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
        metavar="FILE",
        help="the experiment, as for snakemake (default: %(default)s)",
    )


def typed_question(
    args: argparse.Namespace, config: Config, results: Path, like: bool = False
) -> Question:
    """The question that was typed, which the experiment can answer.

    Args:
        args: of `add_question`.
        like: whether rows like one are wanted, so that there is no probe.

    Raises:
        HeadwaterError: what is mistyped; there are no stores, or none of the unit.
    """
    name = args.unit if args.unit in config["targets"] else ""
    unit = None if name else _unit(args.unit, config)
    probe, data = args.probe, args.data
    if name and not (like or probe):
        probe = config["targets"][name]["probe"]
        data = data or config["targets"][name].get("data")
    _check_probe(args.unit, unit, probe, data, like, config)
    check_stored(results, config, args.configfile)
    if unit is None:
        path = results / "heads" / "targets" / f"{name}.json"
        if not path.is_file():
            raise HeadwaterError(
                f"{path}: not there; run `.venv/bin/snakemake --cores all heads "
                f"--configfile {args.configfile}` first"
            )
        seals.check(path)
        unit = unit_of(read_target(path, config).unit, config)
        _check_subject(unit, probe)
    check_unit(results, config, unit, args.configfile)
    damping = args.damping or config["influence"]["damping"]
    return Question(unit, probe, data, damping, name)


def _unit(word: str, config: Config) -> Unit:
    try:
        return unit_of(word, config)
    except HeadwaterError as error:
        meant = suggestion(word, config["targets"])
        raise HeadwaterError(f"{error}{meant}") from error


def _check_probe(
    word: str,
    unit: Unit | None,
    probe: str | None,
    data: str | None,
    like: bool,
    config: Config,
) -> None:
    if not (probe or like):
        raise HeadwaterError(
            f"{word}: asked what? name a probe (--probe {', '.join(PROBES)}), or a "
            f"target, which has one ({', '.join(config['targets'])})"
        )
    if (probe in WITH_ROWS) != bool(data):
        those = ", ".join(WITH_ROWS)
        raise HeadwaterError(f"--data goes with the probes {those}, and them alone")
    if unit is not None:
        _check_subject(unit, probe)
    if data and not Path(data).is_file():
        raise HeadwaterError(f"{data}: no such file")


def _check_subject(unit: Unit, probe: str | None) -> None:
    if probe and (wrong := unit.lacks(SUBJECTS.get(probe, HEAD))):
        raise HeadwaterError(f"{unit}: the probe {probe} {wrong}")


def write_answer(path: str, text: str) -> None:
    """Publish a table where the user wants it, whole.

    Raises:
        HeadwaterError: it cannot be written there.
    """
    try:
        write_text(Path(path), text)
    except OSError as error:
        raise HeadwaterError(f"{path}: cannot write ({error.strerror})") from error


def echo(
    question: Question,
    config: Config,
    config_file: str,
    choice: "WindowChoice",
    rows: int,
) -> str:
    """What is asked, in words, on two lines.

    Args:
        rows: of the window.
    """
    unit = f"{question.unit}"
    if question.name:
        unit += f" (target {plain(question.name)})"
    own = question.damping == config["influence"]["damping"]
    if question.probe is None:
        asked = f"{unit}, rows that act like one"
    else:
        count = config["gradients"]["probe_sequences"]
        on = plain(question.data) if question.data else f"{count:,} sequences"
        asked = f"{unit}, probe {question.probe} on {on}, damping {question.damping:g}"
        asked += " (the config's)" if own else ""
    steps = ", ".join(f"{step:,}" for step in choice.points)
    points = "checkpoint of step" if len(choice.points) == 1 else "checkpoints of steps"
    window = choice.window
    return (
        f"asked: {asked}\n"
        f"of {plain(config['experiment'])} ({plain(config_file)}): {rows:,} rows, "
        f"steps {window.start:,} to {window.end:,}, at the {points} {steps}"
    )
