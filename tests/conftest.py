"""Shapes checked, the order of the tests, and the experiment that several look at."""

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download
from jaxtyping import install_import_hook

import hub_server
import model_hub
from clone import make_clone, run
from headwater.net import failures

# Each call in these, and its result, is checked against its annotations.
SCIENCE = (
    *("neox", "cross_entropy", "gradients", "projection", "curvature.ekfac"),
    *("influence", "heads", "probes", "evaluation", "training"),
    *"interventions",
)
install_import_hook([f"headwater.{name}" for name in SCIENCE], "type_check.check")

# In the background of a script these are ignored, by all children too; tests send them.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that no core is idle while it ends alone."""
    items.sort(key=lambda item: "test_workflow.py" not in item.nodeid)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A clone in which the smoke experiment has run; all workers share it: read only.

    What Snakemake printed is in `output.txt`. Where HEADWATER_SMOKE_RUN names a folder
    for it, all runs of pytest share it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    clone = Path(os.environ.get("HEADWATER_SMOKE_RUN", shared)) / "smoke-run"
    clone.mkdir(exist_ok=True)
    with (clone.parent / "smoke-run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (clone / "output.txt").exists():
            result = run(make_clone(clone))
            assert result.returncode == 0, result.stdout[-4000:]
            (clone / "output.txt").write_text(result.stdout)
    return clone


@pytest.fixture
def model_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[hub_server.HubServer]:
    """An empty hub; `huggingface_hub` is pointed at it."""
    with model_hub.serve(tmp_path / "hub") as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        template = found.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download):
            if hasattr(module, "HUGGINGFACE_CO_URL_TEMPLATE"):
                monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(failures, "_FIRST_WAIT", 0.0)
        yield found
