"""profiles/slurm beside the rules: what one says of the other."""

import re
from pathlib import Path

import pytest
import yaml

from headwater.plan.dag import trains

REPOSITORY = Path(__file__).resolve().parent.parent
PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())


def rules() -> dict[str, str]:
    """The text of every rule, by name."""
    found = {}
    for file in sorted((REPOSITORY / "rules").glob("*.smk")):
        parts = re.split(
            r"^\s*(?:rule|checkpoint) (\w+):", file.read_text(), flags=re.M
        )
        found.update(zip(parts[1::2], parts[2::2], strict=True))
    return found


RULES = rules()


def test_the_gpu_rules_are_those_that_ask_for_a_gpu() -> None:
    asking = {name for name, text in RULES.items() if re.search(r"\bgpu=1,", text)}
    assert asking
    assert set(PROFILE["set-resources"]) == asking


def test_the_gpu_syntax_stands_in_one_place() -> None:
    text = (REPOSITORY / "profiles/slurm/config.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert sum("slurm_partition: gpu" in line for line in lines) == 1
    (first, *others) = PROFILE["set-resources"].values()
    assert first == {"slurm_partition": "gpu", "gpu_slots": 1, "gpu": 1}
    assert all(other is first for other in others)
    assert "gpu_slots" in PROFILE["resources"]


def test_the_line_for_gres_is_a_line_of_the_profile() -> None:
    text = (REPOSITORY / "profiles/slurm/config.yaml").read_text()
    (line,) = [x for x in text.splitlines() if "gres:" in x]
    plain = re.search(r"^  train_baseline: .*$", text, re.M)
    assert plain
    edited = text.replace(plain[0], line.replace("# ", "", 1))
    resources = yaml.safe_load(edited)["set-resources"]["row_gradients"]
    assert (resources["gpu"], resources["gres"]) == (0, "gpu:1")
    assert resources["gpu_slots"] == 1


@pytest.mark.parametrize("name", [n for n, text in RULES.items() if "mem_mb=" in text])
def test_memory_and_time_grow_with_every_attempt(name: str) -> None:
    text = RULES[name]
    assert re.search(r"mem_mb=(more\(|pass_memory\(|\w+_memory,)", text)
    assert trains(name) or re.search(r"runtime=(longer\(|\w+_minutes,)", text)


def test_every_job_says_its_memory_and_time() -> None:
    """So that `default-resources` need not; but not what never becomes a job."""
    for name, text in RULES.items():
        if "script:" in text and not name.startswith(("fetch_", "plan", "study")):
            assert "mem_mb=" in text, name
            assert "runtime=" in text, name


def test_only_what_is_small_or_needs_the_network_runs_beside_snakemake() -> None:
    local = {name for name, text in RULES.items() if "localrule: True" in text}
    asking = {name for name in local if "gpu=1" in RULES[name]}
    assert asking == set(filter(trains, RULES)), "they submit a job of their own"
    assert "localrules:" not in "".join(RULES.values())
