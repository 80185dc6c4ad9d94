"""How many jobs each rule has in the whole experiment.

The rules' own conditions, in numbers: a test compares them with Snakemake's DAG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.config import (
    dataset_sources,
    has_rows,
    list_sources,
    row_files,
    wanted_revisions,
)
from headwater.config.points import point_names
from headwater.interventions.runs import arm_runs
from headwater.net.places import is_remote


@dataclass(frozen=True)
class Sources:
    """What the rules know of the corpus's and the model's sources.

    Attributes:
        local: files of text.
        remote: files of text behind addresses.
        streamed: parts of a data set.
        is_rows: whether the corpus comes as rows of token ids.
        local_rows: files of such rows.
        revisions: published checkpoints that are fetched.
    """

    local: tuple[str, ...]
    remote: int
    streamed: int
    is_rows: bool
    local_rows: tuple[str, ...]
    revisions: int

    @property
    def text(self) -> int:
        """Sources of text in all."""
        return len(self.local) + self.remote + self.streamed


Counts = dict[str, dict[str, int]]


def sources_of(config: Mapping[str, Any], base: Path) -> Sources:
    """The sources of a config that has been checked.

    Args:
        base: the folder that relative paths in it start from.
    """
    corpus = config["corpus"]
    is_rows = has_rows(corpus)
    text = (corpus["held_out"] if is_rows else corpus).get("shards", [])
    files = list_sources(text, base)
    streams = not is_rows and "dataset" in corpus
    return Sources(
        local=tuple(file for file in files if not is_remote(file)),
        remote=sum(map(is_remote, files)),
        streamed=len(dataset_sources(corpus["dataset"])) if streams else 0,
        is_rows=is_rows,
        local_rows=tuple(row_files(corpus, base)),
        revisions=len(wanted_revisions(config["checkpoints"])),
    )


def count_jobs(config: Mapping[str, Any], sources: Sources) -> Counts:
    """Jobs by stage and rule; no rule of 0 jobs."""
    counts = {
        "corpus": _corpus(config, sources),
        "checkpoints": {
            "fetch_checkpoint": sources.revisions,
            "train_baseline": int("revisions" not in config["checkpoints"]),
        },
        **_attribution(config),
        **_causal_test(config),
    }
    return {
        stage: {rule: jobs for rule, jobs in rules.items() if jobs}
        for stage, rules in counts.items()
    }


def by_rule(counts: Counts) -> dict[str, int]:
    """Jobs by rule, of all stages."""
    return {rule: jobs for of in counts.values() for rule, jobs in of.items()}


def _corpus(config: Mapping[str, Any], sources: Sources) -> dict[str, int]:
    named = "name" in config["corpus"]["tokenizer"]
    rows, shards = sources.is_rows, config["corpus"]["row_shards"]
    return {
        "fetch_tokenizer": int(named),
        "train_tokenizer": int(not named),
        "fetch_shard": sources.remote,
        "fetch_dataset": sources.streamed,
        "fetch_rows": int(rows and not sources.local_rows),
        "tokenize_source": sources.text,
        "copy_rows": shards if rows else 0,
        "order_rows": 0 if rows else shards,
        "hold_out_rows": int(rows),
        "hold_out": int(not rows),
    }


def _attribution(config: Mapping[str, Any]) -> Counts:
    targets, points = len(config["targets"]), len(point_names(config["window"]))
    shards = config["gradients"]["shards"]
    stored = config["influence"]["method"] == "projected"
    return {
        "heads": {"score_heads": 1, "select_window": 1, "select_target": targets},
        "curvature": {"fit_factors": points},
        "gradients": {
            "probe_gradient": targets * points,
            "row_gradients": points * shards if stored else 0,
        },
        "influence": {
            "solve_ihvp": targets * points,
            "score_rows": targets * shards if stored else 0,
            "stream_scores": 0 if stored else shards,
            "rank_rows": targets,
            "score_tokens": targets,
            "check_fidelity": 1,
        },
    }


def _causal_test(config: Mapping[str, Any]) -> Counts:
    runs = len(arm_runs(config))
    effects = int(runs > 0)
    return {
        "interventions": {"build_arm": runs},
        "retraining": {"retrain_arm": runs},
        "evaluation": {"evaluate_run": runs + 1, "measure_effects": effects},
        "report": {
            "plot_emergence": effects,
            "plot_enrichment": 1,
            "show_top_rows": 1,
            "write_summary": effects,
        },
    }
