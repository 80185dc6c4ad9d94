# What all rules share: the checked config, the names of things, and the run's lock.
# Parsed by every job on its node: nothing here may be slow, random or depend on results.
#
# Rules of seconds and a few megabytes say `localrule: True`: in a queue they would wait
# longer than they work, and an experiment has a hundred of them. They run where Snakemake
# runs; what reads checkpoints or passes rows through a model does not.

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import IncompleteCheckpointException

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from headwater import seals
from headwater.checkpoints.needs import pass_mb, training_mb, training_minutes
from headwater.checkpoints.revisions import source_names
from headwater.checkpoints.schedule import point_names, saved_steps
from headwater.interventions import subsets
from headwater.interventions.facts import fact_files
from headwater.interventions.kinds import (
    facts_of,
    is_compared,
    motif_file,
    motifs_of,
    written,
)
from headwater.interventions.scores import (
    SMOOTHED,
    THROUGH,
    metagradient_targets,
    smoothed_targets,
    smoothings,
)
from headwater.interventions.runs import BASELINE as BASELINE_RUN
from headwater.interventions.runs import arm_runs, run_name
from headwater.command_line import repeated, stop, typed_config
from headwater.config import load_config
from headwater.config.study import members
from headwater.corpus.sources import needs_of, rows, texts, unused_modules
from headwater.steps import step_name, training_rows
from headwater.errors import HeadwaterError
from headwater.freshness import settle
from headwater.imports import script_digest as digest
from headwater.plan.estimate import (
    Folders,
    experiment_of,
    gradient_seconds,
    plan_rows,
)
from headwater.plan.experiment import Experiment, sources_of
from headwater.plan.limits import rule_limits, shard_warning, size_problem
from headwater.runs import RunGuard
from headwater.identity import section_of, without_draws
from headwater.models.sections import fitted_besides


def checked():
    """The config with its defaults; otherwise one line a mistake, and exit code 1."""
    try:
        raw, name = typed_config(workflow)
        found = load_config(raw, name, Path.cwd())
    except HeadwaterError as error:
        stop(error)
    if workflow.is_main_process and (text := too_large(found)):
        stop(f"{name}: {text}")
    return found


def too_large(found):
    """Why Snakemake could not plan so many jobs, if it could not."""
    return size_problem(Experiment(found, sources_of(found, Path())))


def section(*names):
    """These sections of the config, for `params`: what a rule's results depend on."""
    return {name: section_of(config, name) for name in names}


given = checked()
config.clear()  # Snakemake's own reading, in YAML 1.1
config.update(given)

RUN_GUARD = RunGuard(config["experiment"])
if workflow.is_main_process:
    for warning in settle(Path("results", config["experiment"])):
        print(f"WARNING {warning}", file=sys.stderr)
    RUN_GUARD.watch(workflow)
CORPUS = config["corpus"]
TEXTS = texts(CORPUS, Path())  # sources of text; of a corpus of token ids, held out
ROWS = rows(CORPUS, Path())  # token ids in training order; None for a corpus of text
FETCHED = {
    name: f"<results>/corpus/source/text/{name}"
    for name, piece in TEXTS.items()
    if piece.origin is not None
}
SOURCES = {name: FETCHED.get(name) or piece.paths[0] for name, piece in TEXTS.items()}
FETCHES_ROWS = ROWS is not None and ROWS.origin is not None
if FETCHES_ROWS:
    ROW_FILES = ["<results>/corpus/source/rows"]
else:
    ROW_FILES = [] if ROWS is None else ROWS.paths
UNUSED_SOURCES = unused_modules(CORPUS)
NEEDS_NETWORK = list(FETCHED.values())  # what `snakemake prepare` makes
if "name" in CORPUS["tokenizer"]:
    NEEDS_NETWORK += ["<results>/corpus/tokenizer"]
if FETCHES_ROWS:
    NEEDS_NETWORK += ROW_FILES
SHARDS = [f"{i:04d}" for i in range(config["corpus"]["row_shards"])]
GRADIENT_SHARDS = [f"{i:04d}" for i in range(config["gradients"]["shards"])]
TARGETS = list(config["targets"])
METAGRADIENT_TARGETS = metagradient_targets(config)  # whose arms are ranked by it
SMOOTHINGS, SMOOTHED_TARGETS = smoothings(config), smoothed_targets(config)
POINTS = point_names(config["window"])  # where influence is measured
ARM_RUNS = arm_runs(config)
RUNS = [run_name(*run) for run in ARM_RUNS]
COMPARED_RUNS = [  # with the rows that theirs are to explain
    run_name(arm, draw) for arm, draw in ARM_RUNS if is_compared(config["arms"][arm])
]
BANK_RUNS = subsets.bank_runs(config)  # those that scores are judged by
WRITES_ROWS = any(map(written, config["arms"].values()))
CLAIMED = subsets.claimed(config["arms"])  # arms that the report is about
ARMS = [BASELINE_RUN, *config["arms"]]
MOST_DRAWS = max([arm["draws"] for arm in config["arms"].values()], default=1)
CHECKPOINT_STEPS = saved_steps(config)
TRAINED = "revisions" not in config["checkpoints"]  # else published ones are taken
STOPS = "stop" in config["training"]  # the run ends when the head has been found
WINDOW_TARGET = config["targets"][config["window"]["target"]]
BASELINE = "<results>/checkpoints" if TRAINED else "<results>/checkpoints/source"
CHECKPOINTS = [f"{BASELINE}/{step_name(step)}" for step in CHECKPOINT_STEPS]
# The window's checkpoints that are used: arms start from one, rows are scored at some.
ROLES = sorted({*POINTS, *(["start"] if ARM_RUNS else [])})
START = [
    f"<results>/checkpoints/source/{revision}"
    for revision in source_names(config["checkpoints"])
]
if "repo" in config["checkpoints"]:
    NEEDS_NETWORK += START
WILDCARD_VALUES = {  # what a target on the command line may name
    "source": list(SOURCES),
    "shard": sorted({*SHARDS, *GRADIENT_SHARDS}),
    "revision": list(source_names(config["checkpoints"])),
    "target": TARGETS,
    "point": ROLES,
    "smoothing": SMOOTHINGS,
    "arm": ARMS,
    "draw": [str(draw) for draw in range(MOST_DRAWS)],
}

# What `snakemake plan` and the beginning of a run know besides the config.


def changes_results():
    """Whether this run makes any results of the experiment.

    A plan can be made beside another run; a study has them made by runs of its own.
    """
    return set(workflow.dag_settings.targets) not in ({"plan"}, {"study"})


def requests(wildcards):
    """What every rule asks for in its first attempt, with the profile's changes."""

    def first(one, resource):
        if resource is not None and resource.is_evaluable():
            resource = resource.evaluate(
                wildcards,
                attempt=1,
                threads=1,
                input=SimpleNamespace(size_mb=0),  # asked by Snakemake's defaults
                rulename=one.name,
                async_run=workflow.async_run,
            )
        return None if resource is None else resource.value

    names = {
        "threads": "_cores",
        "runtime": "runtime",
        "mem_mb": "mem_mb",
        "gpu": "gpu",
    }
    return {
        one.name: {key: first(one, one.resources.get(n)) for key, n in names.items()}
        for one in workflow.rules
    }


def on_cluster():
    """Whether jobs are submitted, or a profile says where to."""
    return workflow.non_local_exec or any(
        "slurm_partition" in one.resources for one in workflow.rules
    )


def has_gpu(wildcards):
    """Whether jobs that ask for a GPU will have one: on a cluster, or with a driver."""
    return on_cluster() or shutil.which("nvidia-smi") is not None


def member_runs(wildcards):
    """How a study runs its members: this command, and how many of them at once."""
    many = max(1, len(members(config)))
    if on_cluster():
        return repeated(sys.argv[1:]), many
    at_once = max(1, min(many, workflow.cores // config["training"]["threads"]))
    return repeated(sys.argv[1:], workflow.cores // at_once), at_once


def work_of_rules():
    """Hours of one job of every rule, as the plan has them; rough, but in proportion."""
    folders, limits = Folders.of(config["experiment"]), rule_limits(requests(None))
    rows = plan_rows(experiment_of(config, Path()), limits, has_gpu(None), folders)
    return {
        row.rule: (row.cpu_hours.low + row.cpu_hours.high) / row.jobs for row in rows
    }


def warn_of_shards():
    """Say before a run on a cluster that its jobs are too short or too long."""
    folders = Folders.of(config["experiment"])
    warning = shard_warning(config, gradient_seconds(config, folders))
    if warning:
        print(f"WARNING {warning}", file=sys.stderr)


# Inputs that depend on the config or on which run is meant.


def pass_memory(section):
    """Memory of a pass over rows: by the model's size, and more after a failure."""
    size = config[section]["batch_size"]
    return lambda wildcards, attempt: pass_mb(config, size) * attempt


def metagradient_memory(wildcards, attempt):
    """Memory of a training, and of the states that are kept of it."""
    kept = int(1000 * config["metagradient"]["space_gb"])
    return (training_mb(config) + kept) * attempt


def metagradient_minutes(wildcards, attempt):
    """As a training's, times what a step costs on the way there and back.

    A job that ends at the limit goes on where it was.
    """
    passes = 2 + 3 * max(1, len(METAGRADIENT_TARGETS))
    return training_minutes(config) * passes * attempt


def smoothing_minutes(wildcards, attempt):
    """The same for every draw. Where no smoothing is meant, as in the plan, the most."""
    passes = 2 + 3 * max(1, len(SMOOTHED_TARGETS))
    draws = config["metagradient"]["draws"]
    if getattr(wildcards, "smoothing", None) == "segments":
        draws = 1
    return training_minutes(config) * passes * draws * attempt


def smoothing_settings(wildcards):
    """What a smoothed derivative depends on, for `params`."""
    if wildcards.smoothing == "segments":
        return section("metagradient.segment", "retraining")
    return section("metagradient", "metagradient.draws", "retraining")


def through_training(wildcards):
    """The scores that rows are ranked by in place of the paper's, if by any."""
    method = config["influence"]["method"]
    paths = fact_files([method] if method in THROUGH else [], wildcards.target)
    return [f"<results>/{path}" for path in paths]


def data_of(targets):
    """The rows of the dataset probes among some targets."""
    entries = (config["targets"][name] for name in targets)
    return [entry["data"] for entry in entries if "data" in entry]


def more(mb):
    """Memory that grows after a failure."""
    return lambda wildcards, attempt: mb * attempt


def training_memory(wildcards, attempt):
    """Memory of each rank of a training run, and more after a failure."""
    return training_mb(config) * attempt


def longer(minutes):
    """A time limit that grows after a failure."""
    return lambda wildcards, attempt: minutes * attempt


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
    """The targets, where the store holds their units only."""
    if config["gradients"]["units"] != "targets":
        return []
    return expand("<results>/heads/targets/{target}.json", target=TARGETS)


def arm_settings(wildcards):
    """Of an arm, for `params`: another draw leaves the others as they are."""
    return without_draws(config["arms"][wildcards.arm])


def arm_facts(wildcards):
    """What an arm picks its rows by; random arms wait for nothing."""
    arm = config["arms"][wildcards.arm]
    paths = fact_files(facts_of(arm), arm.get("target"))
    return [f"<results>/{path}" for path in paths]


def examined_facts(wildcards):
    """All that rows can be ranked by; gradients where they are stored whole."""
    return [
        f"<results>/{path}" for path in subsets.ranking_files(config, wildcards.target)
    ]


def arm_rows(wildcards):
    """What an arm trains on, which makes it train again only if it is another.

    While the arm is to be built again, nothing is known of that.
    """
    run = run_name(wildcards.arm, wildcards.draw)
    trained = Path("results", config["experiment"], "retraining", run)
    try:
        made = str(checkpoints.build_arm.get(**wildcards).output.rows)
    except IncompleteCheckpointException as error:
        error.targetfile = ancient(error.targetfile)
        raise
    return ancient(made) if seals.is_made_of(trained, Path(made)) else made


def if_there(name):
    """Results that are made only where they are asked for, if they are there."""
    paths = [f"results/{config['experiment']}/{name}"]
    if "{" in name:
        paths = expand(paths, target=TARGETS)
    return lambda wildcards: [path for path in paths if Path(path).exists()]


def own_motifs(wildcards):
    """The motifs of this experiment that are there, or that its arms wait for."""
    name = config["experiment"]
    own = [motif_file(name, target) for target in TARGETS]
    asked = {motifs_of(arm, name) for arm in config["arms"].values()}
    return [path for path in own if path in asked or Path(path).exists()]


def arm_file(wildcards):
    """The user's own rows, for an arm of them."""
    return config["arms"][wildcards.arm].get("file", [])


def arm_motifs(wildcards):
    """What an arm's rows are written after, for an arm of fresh rows.

    A dry run may come before the other experiment whose motifs they are.
    """
    arm = config["arms"][wildcards.arm]
    path = motifs_of(arm, config["experiment"])
    others = arm.get("motifs_of", config["experiment"]) != config["experiment"]
    if path is None or (others and workflow.dryrun and not Path(path).exists()):
        return []
    return path


def to_write(path):
    """A part of the corpus, for arms of fresh rows."""
    return lambda wildcards: path if written(config["arms"][wildcards.arm]) else []


def draws_of(arm):
    """The names of an arm's runs."""
    return [run_name(*run) for run in ARM_RUNS if run[0] == arm]


def arm_checkpoints(wildcards):
    """The checkpoints of the baseline, or the folders of an arm's runs."""
    if wildcards.arm == BASELINE_RUN:
        return CHECKPOINTS
    return expand("<results>/retraining/{run}", run=draws_of(wildcards.arm))


def built(runs):
    """The rows of arms, as inputs whose age is nothing: to be waited for.

    Whether runs are trained again is known when their rows have been picked. So what
    reads their checkpoints or metrics must not run before that.
    """
    return ancient(expand("<results>/interventions/{run}.h5", run=runs))


def evaluated_rows(wildcards):
    """The rows of an arm's runs, or none for the baseline."""
    return built(draws_of(wildcards.arm))


def evaluation_minutes(wildcards, attempt):
    """A time limit that grows with an arm's runs, and after a failure.

    Where no arm is meant, as in the plan, that of the arm with most of them.
    """
    arm = getattr(wildcards, "arm", None)
    return (110 + 10 * (len(draws_of(arm)) if arm else MOST_DRAWS)) * attempt


wildcard_constraints:
    source="[A-Za-z0-9][A-Za-z0-9._-]*",
    shard=r"\d{4}",
    step=r"\d+",
    revision="[A-Za-z0-9][A-Za-z0-9._-]*",
    target="[a-z][a-z0-9_]*",
    point=r"start|end|point[1-9]\d*",
    arm="[a-z][a-z0-9_]*",
    draw=r"\d+",
    smoothing="segments|subsets|path|orders",
