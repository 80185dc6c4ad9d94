"""What is typed after `snakemake`, by real Snakemake: configs, changes, targets."""

import os
import subprocess
from pathlib import Path

import pytest

from clone import SNAKEMAKE, make_clone

pytestmark = pytest.mark.workflow

SMOKE = "config/smoke.yaml"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with configs that are none; nothing is made in it but plans."""
    clone = make_clone(tmp_path_factory.mktemp("typed"))
    smoke = (clone / SMOKE).read_text()
    for name, text in {
        "digits": smoke + f"extra: {'7' * 5000}\n",
        "binary": smoke + "extra: 0b_\n",
        "code": f"__use_yte__: true\nx: ?open('ran', 'w')\n{smoke}",
        "on": smoke.replace("smoke", "on", 2).replace("0.003", "3e-3"),
        "late": "experiment: late\nreport: {rows: 0}\n",
    }.items():
        (clone / f"{name}.yaml").write_text(text)
    os.mkfifo(clone / "pipe.yaml")
    return clone


def said(clone: Path, *words: str) -> tuple[int, list[str]]:
    """Exit code and lines of Snakemake, without the one on its profile."""
    result = subprocess.run(
        [*SNAKEMAKE, *words],
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    lines = result.stdout.splitlines()
    return result.returncode, [line for line in lines if "profiles/default" not in line]


FILES = [
    ("none.yaml", "no such config file; did you mean on.yaml?"),
    ("pipe.yaml", "a pipe or a device"),
    ("digits.yaml", "line 59: a number of 5,000 characters"),
    ("binary.yaml", "Snakemake cannot read it (invalid literal for int()"),
    ("code.yaml", "__use_yte__: a config holds no code"),
]


@pytest.mark.parametrize(("file", "message"), FILES)
def test_a_file_that_is_no_config_makes_one_line(
    file: str, message: str, clone: Path
) -> None:
    code, lines = said(clone, "-n", "--configfile", file)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"{file}: {message}")
    assert not (clone / "ran").exists()


WORDS = [
    (
        [SMOKE, "influence"],
        "influence: no config file; --configfile takes every word after it, so write "
        "influence before it",
    ),
    (
        [SMOKE, "--config", "training.steps=9"],
        "--config training.steps=9: name the section; write 'training={steps: 9}'",
    ),
]


@pytest.mark.parametrize(("words", "message"), WORDS)
def test_words_that_are_no_config(words: list[str], message: str, clone: Path) -> None:
    assert said(clone, "-n", "--configfile", *words) == (1, [message])


def test_targets_that_are_none_are_told_with_the_nearest(clone: Path) -> None:
    made = "results/smoke"
    meant = {
        "curvatur": '; did you mean "curvature"?',
        f"{made}/influence/previous.tsv": ' "previous"; did you mean "previous_token"?',
        f"{made}/reports/summary.md": f'; did you mean "{made}/report/summary.md"?',
        "score_head": '; did you mean "score_heads"?',
    }
    *targets, again = meant
    draws = f"{made}/retraining/remove_top-seed4"
    words = [*targets, draws, "--forcerun", again, "--configfile", SMOKE]
    lines = {f"{word}: no target{text}" for word, text in meant.items()}
    lines.add(f'{draws}: no draw "4"; known: 0, 1')
    assert said(clone, "-n", *words) == (1, sorted(lines))


def test_a_broken_default_config_is_told_as_well(clone: Path) -> None:
    default = clone / "config/config.yaml"
    before = default.read_text()
    default.write_text(before + "seed: 1\n")
    code, lines = said(clone, "-n")
    default.write_text(before)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("config/config.yaml: line ")
    assert '"seed" stands on line ' in lines[0]


def test_jobs_have_the_values_that_were_read_first(clone: Path) -> None:
    # YAML 1.1 has `on` for a truth value and `3e-3` for text.
    words = ["plan", "--cores", "1", "--configfile", "on.yaml"]
    code, lines = said(clone, *words, "--config", "heads={sequences: 9}")
    assert code == 0, lines
    assert (clone / "results/on/plan.tsv").exists()


def test_later_files_and_words_win_key_by_key(clone: Path) -> None:
    files = ["--configfile", SMOKE, "late.yaml"]
    code, lines = said(clone, "-n", *files, "--config", "heads={sequences: 0}")
    assert code == 1
    name = "config/smoke.yaml, late.yaml, --config"
    assert lines == [
        f"{name}: heads.sequences: expected an integer >= 1 and <= 1000000, found 0",
        f"{name}: report.rows: expected all or a number of rows, found 0",
    ]


def test_too_many_jobs_are_told_before_they_are_planned(clone: Path) -> None:
    arms = {
        f"a{i}": "{action: remove, rows: random, fraction: 0.1, draws: 1000}"
        for i in range(60)
    }
    text = "arms:\n" + "".join(f"  {name}: {arm}\n" for name, arm in arms.items())
    (clone / "many.yaml").write_text(text)
    code, lines = said(clone, "-n", "--configfile", SMOKE, "many.yaml")
    assert code == 1
    assert lines == [
        "config/smoke.yaml, many.yaml: 120,114 jobs, at most 20,000 can be planned; "
        "most are of retrain_arm (60,006): lower arms and their draws"
    ]
