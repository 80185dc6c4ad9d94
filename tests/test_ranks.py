"""Several ranks train as one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from headwater.imports import ROOT
from headwater.training.ranks import Ranks
from rank_cases import CASES, do

HERE = Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module", params=[2, 3])
def trained(request, tmp_path_factory):
    """Number of ranks, and the folder of what each of them left."""
    count, folder = request.param, tmp_path_factory.mktemp("ranks")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    program = [sys.executable, str(HERE / "rank_cases.py")]
    processes = [
        subprocess.Popen([*program, str(r), str(count), str(folder)], env=environment)
        for r in range(count)
    ]
    codes = [process.wait(120) for process in processes]
    assert codes == [0] * (count - 1) + [9]
    return count, folder


def results(trained, name: str) -> list[dict[str, torch.Tensor]]:
    count, folder = trained
    return [load_file(folder / f"{name}-{rank}.safetensors") for rank in range(count)]


@pytest.mark.parametrize("name", ["fixed", "kept", "few", "micro"])
def test_ranks_train_as_one_process_does(trained, name):
    found, expected = results(trained, name)[0], do(name, Ranks())
    for key in expected.keys() - {"scale", "wishes"}:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_all_ranks_hold_the_same_numbers(trained, name):
    first, *others = results(trained, name)
    for other in others:
        for key, values in first.items():
            assert torch.equal(values.nan_to_num(7), other[key].nan_to_num(7)), key


def test_half_precision_trains_about_the_same(trained):
    found, expected = results(trained, "fp16")[0], do("fp16", Ranks())
    torch.testing.assert_close(found["losses"], expected["losses"], rtol=2e-2, atol=0)
    assert found["scale"] == expected["scale"] > 1


def test_a_loss_that_is_not_finite_is_so_on_all_ranks(trained):
    for found in results(trained, "diverging"):
        assert not found["losses"].isfinite().all()


def test_the_wish_of_rank_0_counts_and_reaches_all(trained):
    for found in results(trained, "fixed"):
        assert found["wishes"].tolist() == [1, 2, 0, 0]


def test_ranks_that_begin_at_other_steps_are_told(trained):
    count, folder = trained
    for rank in range(count):
        text = (folder / f"unlike-{rank}.txt").read_text()
        assert f"checkpoints of steps {list(range(count))}" in text


def test_the_death_of_a_rank_ends_the_others(trained):
    count, folder = trained
    for rank in range(count - 1):
        text = (folder / f"lost-{rank}.txt").read_text()
        assert text.startswith(f"rank {rank} of {count} lost the others (")
        assert "\n" not in text


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_row_is_one_ranks(rows, count):
    shares = [Ranks(rank, count).share(rows) for rank in range(count)]
    assert [n for share in shares for n in range(rows)[share]] == list(range(rows))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1


ALONE = """
import torch
from rank_cases import do, Ranks
do("fixed", Ranks())
print(torch.distributed.is_initialized())
"""


def test_one_rank_joins_no_group():
    output = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output == "False\n"
