"""Every rule once: what its text says, and a row for what it does not say.

A rule stands in its `.smk` file. From there come its stage (the file), its name, the
condition around it, its outputs, its wildcards, and whether it trains. So a figure, a
page or a small table needs no row: it is as many jobs as its wildcards have values, of
a few seconds, and leaves a small file for each output. Asking Snakemake instead builds
the whole DAG: benchmarks/dag.md.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path

from headwater.interventions.facts import fact_files
from headwater.interventions.kinds import (
    facts_of,
    is_compared,
    motif_file,
    motifs_of,
)
from headwater.interventions.runs import arm_runs
from headwater.interventions.scores import THROUGH, metagradient_targets, smoothings
from headwater.interventions.subsets import (
    bank_runs,
    claimed,
    judged_files,
)
from headwater.plan import sizes, work
from headwater.plan.experiment import Experiment
from headwater.plan.ranges import Range
from headwater.plan.sizes import Output, row_files, score_store, small
from headwater.plan.work import LIGHT, NETWORK, TEXT, Load, passing

RULES = Path(__file__).resolve().parents[3] / "rules"
HEADER = re.compile(
    r"^if (?P<condition>.+):$|^(?P<else>else):$"
    r"|^(?P<indent> *)(?:rule|checkpoint) (?P<name>\w+):"
    r"(?P<text>(?:\n(?:(?P=indent) .*)?)*)",
    re.M,
)
OUTPUT = re.compile(r"^( +)output:\n((?:\1 +.*\n)+)", re.M)
WILDCARD, EXPANDED = re.compile(r"\{+(\w+)\}+"), re.compile(r"(?<!\{)\{(\w+)\}")
PATH = re.compile(r'"<results>/(.+?)"')
MEMORY = re.compile(r'mem_mb=(?:pass_memory\("(\w+)"\)|(training)_memory)')
TRAINING = "training"
# By `influence.method`, the rule that passes every row of the window.
GRADIENT_RULES = {
    "projected": "row_gradients",
    "exact": "stream_scores",
    **dict.fromkeys(THROUGH, "row_gradients"),
}

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Row:
    """What the text of a rule does not say.

    Attributes:
        work: of a job, or of all but the first.
        leaves: bytes and files; None for a small file for each output.
        first: work of the first job, where it is unlike the others'.
        jobs: how many, where the wildcards do not tell.
        path: of an output, under results/<experiment>/, where the first is not named in
            the text or is like those of other rules.
        interval: of a training, the section whose `checkpoint_every` it saves by.
    """

    work: Load | Callable[[Experiment], Load] = LIGHT
    leaves: Output | Callable[[Experiment], Output] | None = None
    first: Callable[[Experiment], Load] | None = None
    jobs: int | Callable[[Experiment], int] | None = None
    path: str | None = None
    interval: str = ""


def _stored(e: Experiment) -> bool:
    return bool(e.config["influence"]["method"] != "exact")


def _facts(end: str) -> Callable[[Experiment], int]:
    """How many files of facts, whose names end so, arms and bank wait for."""

    def count(e: Experiment) -> int:
        arms = e.config["arms"].values()
        files = {f for a in arms for f in fact_files(facts_of(a), a.get("target"))}
        if bank_runs(e.config):
            files |= {*judged_files(e.config)}
        return sum(file.endswith(end) for file in files)

    return count


def _own_motifs(e: Experiment) -> int:
    """How many targets' motifs arms wait for, of this experiment."""
    name = e.config["experiment"]
    files = {motifs_of(arm, name) for arm in e.config["arms"].values()}
    own = {motif_file(name, target) for target in e.config["targets"]}
    return len(files & own)


ROWS = {
    "fetch_tokenizer": Row(leaves=Output(Range(1e6, 1e7), Range(4, 8))),
    "train_tokenizer": Row(lambda e: work.text(e, TEXT, 1), small(4)),
    "fetch_text": Row(
        lambda e: work.text(e, NETWORK, e.sources.text),
        jobs=lambda e: e.sources.fetched,
    ),
    "fetch_rows": Row(lambda e: work.tokens(e, NETWORK, 1), sizes.fetched_rows),
    "tokenize_source": Row(lambda e: work.text(e, TEXT, e.sources.text), sizes.packed),
    "order_rows": Row(work.ordering, sizes.row_shard),
    "hold_out": Row(leaves=lambda e: row_files(e, e.held_out, 4)),
    "fetch_checkpoint": Row(leaves=sizes.fetched_checkpoint),
    "train_baseline": Row(
        work.baseline,
        sizes.baseline,
        path="checkpoints/step0",
        interval="training",
    ),
    "score_heads": Row(lambda e: work.scoring(e, e.saved)),
    "select_window": Row(leaves=small(6, 11)),  # and hard links to checkpoints
    "fit_factors": Row(work.fitting, sizes.factors),
    "probe_gradient": Row(work.probing, sizes.one_unit),
    "row_gradients": Row(
        work.storing,
        sizes.gradients,
        jobs=lambda e: _stored(e) * e.points * e.shards,
    ),
    "solve_ihvp": Row(Load(), sizes.one_unit),
    "score_rows": Row(work.reading, lambda e: score_store(e.part, e.points)),
    "stream_scores": Row(
        lambda e: passing(e, e.part * e.points, e.targets), sizes.all_scores
    ),
    "rank_rows": Row(leaves=sizes.ranked, path="influence/{target}.domains.tsv"),
    "score_tokens": Row(work.showing, sizes.token_scores),
    "check_fidelity": Row(work.comparing),
    "compare_variants": Row(jobs=0),  # only asked for by name
    "examine": Row(jobs=0),
    "plot_figures": Row(jobs=0, path="report/figures/census.svg"),
    "score_variants": Row(
        lambda e: replace(work.fitting(e), units=work.fitting(e).units * e.points),
        sizes.row_facts,
        jobs=_facts("variants.h5"),
    ),
    "measure_text": Row(leaves=sizes.row_facts, jobs=_facts("text.h5")),
    "measure_lexical": Row(leaves=sizes.row_facts, jobs=_facts("lexical.h5")),
    "measure_tokens": Row(
        lambda e: passing(e, e.window_rows * e.points, 0),
        sizes.token_facts,
        jobs=_facts(".tokens.h5"),
    ),
    "measure_gradients": Row(
        lambda e: replace(work.reading(e), units=e.window_rows * e.points),
        sizes.row_facts,
        jobs=_facts("gradients.h5"),
    ),
    "differentiate": Row(
        work.differentiating,
        sizes.metagradients,
        jobs=1,
        path="metagradient/smoothness.json",
    ),
    "check_linearity": Row(work.checking),
    "smooth_metagradient": Row(
        work.smoothing,
        sizes.smoothed,
        jobs=lambda e: len(smoothings(e.config)),
        path="metagradient/{smoothing}.json",
    ),
    "build_arm": Row(work.building, sizes.intervention),
    # Asked for by name, but for the motifs that arms of this experiment wait for.
    **dict.fromkeys(
        ("describe_catalysts", "compare_targets", "compare_removals"), Row(jobs=0)
    ),
    "measure_features": Row(jobs=lambda e: e.shards if _own_motifs(e) else 0),
    "find_motifs": Row(jobs=_own_motifs),
    "retrain_arm": Row(work.arm, sizes.arm, interval="retraining"),
    "evaluate_arm": Row(
        lambda e: work.scoring(e, e.arm_saved * e.draws, e.held_out),
        sizes.tables,
        first=lambda e: work.scoring(e, e.arm_saved, e.held_out),
    ),
}


def _conditions(e: Experiment) -> dict[str, bool]:
    """The conditions of the rules' files, as they are written there."""
    found = {
        "": True,
        '"name" in CORPUS["tokenizer"]': "name" in e.config["corpus"]["tokenizer"],
        "FETCHED": bool(e.sources.fetched),
        "SOURCES": bool(e.sources.text),
        "FETCHES_ROWS": e.sources.fetches_rows,
        "START": bool(e.sources.revisions),
        "TRAINED": "revisions" not in e.config["checkpoints"],
        'config["influence"]["method"] != "exact"': _stored(e),
        "METAGRADIENT_TARGETS": bool(metagradient_targets(e.config)),
        "SMOOTHINGS": bool(smoothings(e.config)),
        "ARM_RUNS": bool(arm_runs(e.config)),
        "CLAIMED": bool(claimed(e.config["arms"])),
        "BANK_RUNS": bool(bank_runs(e.config)),
        "COMPARED_RUNS": any(map(is_compared, e.config["arms"].values())),
    }
    return found | {f"not {text}": not holds for text, holds in found.items()}


def _values(e: Experiment, stage: str) -> dict[str, int]:
    """How many values each wildcard has."""
    runs, arms = len(arm_runs(e.config)), len(e.config["arms"])
    return {
        "source": e.sources.text,
        "shard": e.row_shards if stage == "corpus" else e.shards,
        "revision": e.sources.revisions,
        "target": e.targets,
        "point": e.points,
        "arm": arms + 1 if stage == "evaluation" else runs,  # or with their draws
        "draw": 1,
    }


@dataclass(frozen=True)
class Rule:
    """A rule that makes results.

    Attributes:
        name: of the rule.
        stage: its file's.
        condition: around it, with `not` under an `else`; "" without one.
        outputs: paths under results/<experiment>/, as written.
        memory: section of the config whose batch size its memory depends on, `training`
            for all of a training's, "" where little is needed.
    """

    name: str
    stage: str
    condition: str
    outputs: tuple[str, ...]
    memory: str

    @property
    def row(self) -> Row:
        """What its text does not say."""
        return ROWS.get(self.name, Row())

    @property
    def path(self) -> str:
        """Of one output, wildcards in braces; in two where others are expanded."""
        return self.row.path or self.outputs[0]

    @property
    def glob(self) -> str:
        """`path` with a star for each wildcard."""
        return WILDCARD.sub("*", self.path)

    @property
    def pattern(self) -> re.Pattern[str]:
        """`path` with what each wildcard may be."""
        texts = WILDCARD.split(self.path)
        texts[::2] = map(re.escape, texts[::2])
        texts[1::2] = [f"(?:{_constraints()[name]})" for name in texts[1::2]]
        return re.compile("".join(texts))

    def jobs(self, e: Experiment) -> int:
        """How many there are in an experiment."""
        if not _conditions(e)[self.condition]:
            return 0
        own = self.row.jobs
        if own is None:
            return prod(self._values(e, WILDCARD)) // self.outputs_each(e)
        return int(own(e) if callable(own) else own)

    def outputs_each(self, e: Experiment) -> int:
        """How many paths like `path` one job leaves."""
        return prod(self._values(e, EXPANDED)) if "{{" in self.path else 1

    def loads(self, e: Experiment) -> list[Load]:
        """The work of its jobs."""
        row = self.row
        first = [row.first(e)] if row.first else []
        other = row.work(e) if callable(row.work) else row.work
        rest = self.jobs(e) - len(first)
        return [*first, replace(other, jobs=rest)] if rest else first

    def leaves(self, e: Experiment) -> Output:
        """What one job leaves, in the mean."""
        own = self.row.leaves or small(len(self.outputs))
        return own(e) if callable(own) else own

    def _values(self, e: Experiment, wildcards: re.Pattern[str]) -> list[int]:
        counts = _values(e, self.stage)
        return [counts[name] for name in wildcards.findall(self.path)]


@cache
def rules() -> dict[str, Rule]:
    """Every rule that makes results, by name, in the order of the stages."""
    main = (RULES.parent / "workflow/Snakefile").read_text("utf-8")
    stages = re.findall(r'^include: "../rules/(\w+).smk"', main, re.M)
    return {rule.name: rule for stage in stages for rule in _read(stage)}


def rule_names() -> set[str]:
    """Every rule that the rule files define under any config."""
    texts = [file.read_text("utf-8") for file in RULES.glob("*.smk")]
    found = (match["name"] for text in texts for match in HEADER.finditer(text))
    return {name for name in found if name}


def trains(rule: str) -> bool:
    """Whether a rule's job is a training, which goes on where it stopped."""
    return rule in rules() and rules()[rule].memory == TRAINING


def count_jobs(e: Experiment) -> Counts:
    """Jobs by stage and rule; no rule of 0 jobs."""
    counts: Counts = {}
    for rule in rules().values():
        if jobs := rule.jobs(e):
            counts.setdefault(rule.stage, {})[rule.name] = jobs
    return counts


def _read(stage: str) -> Iterator[Rule]:
    condition = ""
    for found in HEADER.finditer((RULES / f"{stage}.smk").read_text("utf-8")):
        name, text = found["name"], found["text"]
        if name is None:
            condition = found["condition"] or f"not {condition}"
        elif outputs := OUTPUT.search(text):
            around = condition if found["indent"] else ""
            memory = "".join(filter(None, next(iter(MEMORY.findall(text)), ())))
            yield Rule(name, stage, around, tuple(PATH.findall(outputs[0])), memory)


@cache
def _constraints() -> dict[str, str]:
    common = (RULES / "common.smk").read_text("utf-8")
    text = common.partition("\nwildcard_constraints:\n")[2]
    return dict(re.findall(r'^    (\w+)=r?"(.+)",$', text, re.M))
