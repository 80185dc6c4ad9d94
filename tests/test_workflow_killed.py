"""The smoke experiment, killed at random moments and run again."""

import os
import random
from pathlib import Path

import pytest

from clone import contents, make_clone, run, run_and_kill

pytestmark = [pytest.mark.workflow, pytest.mark.long]


def test_killed_run_ends_with_the_same_bytes(smoke_run: Path, tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    moments = random.Random(os.urandom(8))
    seconds = [moments.uniform(8, 30) for _ in range(2)]
    print("killed after", seconds)  # shown by pytest if the test fails
    killed = [run_and_kill(clone, each) for each in seconds]
    assert any(killed)
    result = run(clone)
    assert result.returncode == 0, result.stdout[-4000:]
    ours, theirs = contents(clone), contents(smoke_run)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
