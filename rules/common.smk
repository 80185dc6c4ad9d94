# What all rules share: the checked config, the names of things, and the run's lock.
# Parsed by every job on its node: nothing here may be slow, random or depend on results.

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from headwater.checkpoints.schedule import checkpoint_steps
from headwater.config import arm_runs, list_sources, load_config, source_name
from headwater.errors import HeadwaterError
from headwater.imports import script_modules as modules
from headwater.runs import RunGuard

CONFIG_FILE = (workflow.overwrite_configfiles or ["config/config.yaml"])[-1]


def checked(raw):
    """The config with its defaults; otherwise one line a mistake, and exit code 1."""
    try:
        return load_config(raw, os.path.relpath(CONFIG_FILE), Path.cwd())
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def section(*names):
    """These sections of the config, for `params`: what a rule's results depend on."""
    return {name: config[name] for name in names}


config.update(checked(config))

RUN_GUARD = RunGuard(config["experiment"])
SOURCES = {source_name(f): f for f in list_sources(config["corpus"]["shards"], Path())}
SHARDS = [f"{i:04d}" for i in range(config["corpus"]["row_shards"])]
GRADIENT_SHARDS = [f"{i:04d}" for i in range(config["gradients"]["shards"])]
TARGETS = list(config["targets"])
# The checkpoints at which influence is measured, by role: which steps they are is found
# in the baseline's curve. The first is the window's start.
POINTS = ["start", *(f"point{i}" for i in range(1, config["window"]["checkpoints"]))]
ARM_RUNS = arm_runs(config)
RUNS = ["baseline", *(f"{arm}-seed{draw}" for arm, draw in ARM_RUNS)]
CHECKPOINT_STEPS = checkpoint_steps(
    config["training"]["steps"], config["training"]["checkpoint_every"]
)

# Inputs that depend on the config or on which run is meant.


def probe_file(wildcards):
    """The rows of a dataset probe."""
    return config["targets"][wildcards.target].get("data", [])


def stored_probes(wildcards):
    """Probe gradients, where the store keeps only the coordinates that they need."""
    if config["gradients"]["coordinates"] == "all":
        return []
    return expand(
        "<results>/gradients/{point}/{target}.h5",
        point=wildcards.point,
        target=TARGETS,
    )


def stored_targets(wildcards):
    """The targets, where the store holds their heads only."""
    if config["gradients"]["heads"] != "targets":
        return []
    return expand("<results>/heads/targets/{target}.json", target=TARGETS)


def arm_scores(wildcards):
    """Scores, for the arms that pick rows by score; random arms do not wait for them."""
    arm = config["arms"][wildcards.arm]
    if "target" not in arm:
        return []
    return expand(
        "<results>/influence/{target}/{shard}.zarr",
        target=arm["target"],
        shard=GRADIENT_SHARDS,
    )


def run_checkpoints(wildcards):
    """The checkpoints of the baseline, or the folder of an arm's; always a list."""
    if wildcards.run == "baseline":
        return expand("<results>/checkpoints/step{step}", step=CHECKPOINT_STEPS)
    return [f"<results>/retraining/{wildcards.run}"]


wildcard_constraints:
    source="[A-Za-z0-9][A-Za-z0-9._-]*",
    shard=r"\d{4}",
    step=r"\d+",
    target="[a-z][a-z0-9_]*",
    point=r"start|point[1-9]\d*",
    arm="[a-z][a-z0-9_]*",
    draw=r"\d+",
    run=r"baseline|[a-z][a-z0-9_]*-seed\d+",
