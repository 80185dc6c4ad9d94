"""How many jobs each rule has in the whole experiment.

The rules' own conditions, in numbers: a test compares them with Snakemake's DAG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.config import wanted_revisions
from headwater.config.points import point_names
from headwater.corpus.sources import rows, texts
from headwater.interventions.runs import arm_runs


@dataclass(frozen=True)
class Sources:
    """What the rules know of the corpus's and the model's sources.

    Attributes:
        text: sources of text in all.
        fetched: those of them that are fetched.
        is_rows: whether the corpus comes as rows of token ids.
        fetches_rows: whether these are fetched.
        revisions: published checkpoints that are fetched.
    """

    text: int
    fetched: int
    is_rows: bool
    fetches_rows: bool
    revisions: int


Counts = dict[str, dict[str, int]]


def sources_of(config: Mapping[str, Any], base: Path) -> Sources:
    """The sources of a config that has been checked.

    Args:
        config: the whole config.
        base: the folder that relative paths in it start from.
    """
    text = texts(config["corpus"], base).values()
    tokens = rows(config["corpus"], base)
    return Sources(
        text=len(text),
        fetched=sum(piece.origin is not None for piece in text),
        is_rows=tokens is not None,
        fetches_rows=tokens is not None and tokens.origin is not None,
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
    return {
        "fetch_tokenizer": int(named),
        "train_tokenizer": int(not named),
        "fetch_text": sources.fetched,
        "fetch_rows": int(sources.fetches_rows),
        "tokenize_source": sources.text,
        "order_rows": config["corpus"]["row_shards"],
        "hold_out": 1,
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
