"""Which jobs have left their outputs, by where the outputs of each rule are."""

from pathlib import Path

from headwater.plan.jobs import Counts
from headwater.publish import is_sibling
from headwater.training.spec import SUFFIX as TRAINING_JOB

SHARD = "[0-9][0-9][0-9][0-9].zarr"

# One output a job, under results/<experiment>/.
OUTPUTS = {
    "fetch_tokenizer": "corpus/tokenizer",
    "train_tokenizer": "corpus/tokenizer",
    "fetch_text": "corpus/source/text/*",
    "fetch_rows": "corpus/source/rows",
    "tokenize_source": "corpus/packed/*.zarr",
    "order_rows": f"corpus/{SHARD}",
    "hold_out": "corpus/held_out.zarr",
    "fetch_checkpoint": "checkpoints/source/*",
    "train_baseline": "checkpoints/step0",
    "score_heads": "heads/scores.tsv",
    "select_window": "heads/window.json",
    "select_target": "heads/targets/*.json",
    "fit_factors": "curvature/*.h5",
    "probe_gradient": "gradients/*/*.h5",
    "row_gradients": f"gradients/*/{SHARD}",
    "solve_ihvp": "influence/ihvp/*/*.h5",
    "score_rows": f"influence/*/{SHARD}",
    "stream_scores": f"influence/*/{SHARD}",
    "rank_rows": "influence/*.domains.tsv",
    "score_tokens": "influence/*.tokens.h5",
    "check_fidelity": "influence/fidelity.tsv",
    "build_arm": "interventions/*.h5",
    "retrain_arm": "retraining/*-seed*",
    "evaluate_run": "evaluation/*.tsv",
    "measure_effects": "evaluation/effects.tsv",
    "plot_emergence": "report/emergence.png",
    "plot_enrichment": "report/enrichment.png",
    "show_top_rows": "report/top_rows.html",
    "write_summary": "report/summary.md",
}
OTHERS = {"effects.tsv", "summary.tsv"}  # beside the tables of evaluate_run


def done_jobs(results: Path, counts: Counts, targets: int) -> dict[str, int]:
    """How many jobs of every rule have left their outputs.

    Results of targets, arms or shards that the config no longer has count, too, but
    never more than there are jobs.

    Args:
        results: of the experiment.
        counts: jobs by stage and rule.
        targets: how many; a job of `stream_scores` leaves a store for each.
    """
    found = {}
    for rules in counts.values():
        for rule, jobs in rules.items():
            outputs = _published(results, OUTPUTS[rule])
            if rule == "evaluate_run":
                outputs = [path for path in outputs if path.name not in OTHERS]
            each = targets if rule == "stream_scores" else 1
            found[rule] = min(jobs, len(outputs) // each)
    return found


def _published(results: Path, pattern: str) -> list[Path]:
    return [
        path
        for path in results.glob(pattern)
        if not is_sibling(path) and path.suffix != TRAINING_JOB
    ]
