"""How a study runs its members: side by side, each in its own process."""

import os
import signal
import sys
import threading
import time

import pytest

from headwater.command_line import repeated
from headwater.study.running import INTERRUPTED, Runs, reason_in


def python(text: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, time, os, pathlib\n{text}"]


def test_members_run_side_by_side_and_a_failure_loses_no_other(tmp_path, capfd) -> None:
    meet = (
        "pathlib.Path('{0}').touch()\n"
        "while not pathlib.Path('{1}').exists(): time.sleep(0.01)\n"
    )
    one, two = tmp_path / "one", tmp_path / "two"
    commands = {
        "seed0": python(meet.format(one, two) + "print('08:21:33   1/53  work 3 s')"),
        "seed1": python(
            meet.format(two, one)
            + "print('Headwater stopped:\\n  x.tsv: no space left  (log: y)\\nmore')\n"
            "sys.exit(1)"
        ),
        "seed10": python("print('noise'); print('\\xe9\\n' * 3)"),
    }
    runs = Runs(commands, tmp_path / "logs")
    assert runs.run(2) == {"seed1": "x.tsv: no space left  (log: y)"}
    said = capfd.readouterr().err
    assert "08:21:33 seed0   1/53  work 3 s\n" in said
    log = runs.log("seed1")
    assert f"seed1   FAILED: x.tsv: no space left  (log: y)  (log: {log})\n" in said
    assert "noise" not in said
    assert "noise" in runs.log("seed10").read_text()
    assert not runs.interrupted


def test_no_more_run_at_once_than_may(tmp_path) -> None:
    alone = (
        "at = pathlib.Path('{}')\n"
        "at.mkdir()  # fails if another is there\n"
        "time.sleep(0.1)\n"
        "at.rmdir()"
    ).format(tmp_path / "busy")
    commands = {f"seed{n}": python(alone) for n in range(3)}
    assert Runs(commands, tmp_path / "logs").run(1) == {}


def test_sigterm_is_handed_on_and_no_other_member_begins(tmp_path) -> None:
    tell = (
        "import signal\n"
        "def end(*_):\n"
        "    pathlib.Path('{}').write_text('saved')\n"
        "    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path('{}').touch()\n"
        "time.sleep(60)"
    ).format(tmp_path / "saved", tmp_path / "begun")
    never = python(f"pathlib.Path('{tmp_path / 'never'}').touch()")
    runs = Runs({"seed0": python(tell), "seed1": never}, tmp_path / "logs")

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    began, before = time.time(), signal.getsignal(signal.SIGTERM)
    assert runs.run(1) == dict.fromkeys(("seed0", "seed1"), INTERRUPTED)
    assert time.time() - began < 30
    assert runs.interrupted is signal.SIGTERM
    assert (tmp_path / "saved").read_text() == "saved"
    assert not (tmp_path / "never").exists()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["a", "Headwater stopped:", "  first", "  second", "Logs"], "first"),
        (["results/x: another process is writing it", ""], "results/x: another "),
        (["\x1b[2Jgone"], "\\x1b[2Jgone"),
        ([], "failed"),
        (["Headwater stopped:"], "Headwater stopped:"),
    ],
)
def test_a_reason_is_the_first_one_or_the_last_words(lines, reason) -> None:
    assert reason_in(lines).startswith(reason)


@pytest.mark.parametrize(
    ("typed", "cores", "kept"),
    [
        ("--cores all study", 3, "--cores 3"),
        ("-c2 study --keep-going", 1, "--keep-going --cores 1"),
        ("-j 4 study -C seed=1 a=2 -k", 1, "-k --cores 1"),
        ("--cores=2 study --configfile a.yaml b.yaml", 1, "--cores 1"),
        ("--configfile=a.yaml --cores -- study", 2, "--cores 2"),
        (
            "--profile profiles/slurm -j 40 study",
            None,
            "--profile profiles/slurm -j 40",
        ),
        (
            "--cores 2 study --resources mem_mb=900 gpu=1 --rerun-triggers mtime",
            1,
            "--resources mem_mb=900 gpu=1 --rerun-triggers mtime --cores 1",
        ),
    ],
)
def test_a_member_is_run_as_the_study_was(typed, cores, kept) -> None:
    assert repeated(typed.split(), cores) == kept.split()
