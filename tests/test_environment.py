"""The places that pin versions say the same."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def direct_dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split("[=<>]", line)[0] for line in project["dependencies"]]


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE))


def test_conda_environment_pins_every_dependency_as_the_lock_does() -> None:
    text = (ROOT / "envs/headwater.yaml").read_text()
    pip = yaml.safe_load(text)["dependencies"][-1]["pip"]
    pinned = dict(line.split("==") for line in pip)
    torch = re.search(r"torch==([\d.]+)", (ROOT / "Makefile").read_text())
    assert torch is not None
    wanted = {**locked(), "torch": torch[1]}  # torch is installed before the lock
    assert pinned == {name: wanted[name] for name in direct_dependencies()}
