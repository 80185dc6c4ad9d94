"""The whole workflow on the smoke config, with real Snakemake, in fresh clones."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
import zarr

from clone import contents, jobs, make_clone, run

pytestmark = pytest.mark.workflow

COPYING = {"probe": "copying", "head": "L1H0"}


@pytest.fixture(scope="module")
def finished(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished clone, to be worked in; tests leave its results whole."""
    clone = tmp_path_factory.mktemp("finished") / "clone"
    shutil.copytree(smoke_run, clone)
    return clone


def smoke_config(clone: Path) -> dict:
    return yaml.safe_load((clone / "config/smoke.yaml").read_text())


def edited_config(clone: Path, name: str, **changes: dict) -> str:
    """A copy of the smoke config with some sections' keys changed; its path."""
    config = smoke_config(clone)
    for section, keys in changes.items():
        config.setdefault(section, {}).update(keys)
    path = clone / "config" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path.relative_to(clone))


def planned(clone: Path, *arguments: str, **options: str) -> dict[str, int]:
    """Jobs that a dry run would do."""
    result = run(clone, "-n", *arguments, **options)
    assert result.returncode == 0, result.stdout[-4000:]
    return jobs(result.stdout)


def window_rows(config: dict) -> int:
    window = config["window"]
    return (window["end"] - window["start"]) * config["training"]["batch_size"]


def scores_of(clone: Path, target: str) -> np.ndarray:
    """A target's scores of all shards, in order."""
    folder = clone / "results/smoke/influence" / target
    groups = [zarr.open_group(path, mode="r") for path in sorted(folder.glob("*.zarr"))]
    scores = [np.asarray(group["scores"][...]) for group in groups]
    return np.concatenate(scores)[:, 0]  # at the one checkpoint


def test_every_row_has_a_score_for_every_target(finished: Path) -> None:
    config = smoke_config(finished)
    found = [scores_of(finished, target) for target in config["targets"]]
    for scores in found:
        assert scores.shape == (window_rows(config),)
        assert np.isfinite(scores).all()
        assert scores.std() > 0
    assert np.corrcoef(found)[0, 1] < 0.99


def test_report_is_there_and_summary_is_printed(finished: Path) -> None:
    report = finished / "results/smoke/report"
    summary = (report / "summary.md").read_text()
    assert summary in (finished / "output.txt").read_text()
    assert (report / "emergence.png").read_bytes().startswith(b"\x89PNG")
    assert '<section id="causal"' in (report / "index.html").read_text()
    assert (report / "data/scores.tsv").is_file()


def test_effects_have_a_line_for_every_run(finished: Path) -> None:
    config = smoke_config(finished)
    effects = pd.read_csv(finished / "results/smoke/evaluation/effects.tsv", sep="\t")
    draws = sum(arm.get("draws", 1) for arm in config["arms"].values())
    assert len(effects) == 1 + draws
    assert effects.loc[effects["arm"] == "baseline", "area_ratio"].isin([1]).all()


def test_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in run(finished).stdout


def test_touching_every_file_reruns_nothing(finished: Path) -> None:
    for path in finished.rglob("*"):
        inside = path.relative_to(finished).parts[0]
        if path.is_file() and inside not in ("results", "logs", ".snakemake"):
            os.utime(path)
    assert planned(finished) == {}


def test_changed_damping_reruns_influence_and_what_follows(finished: Path) -> None:
    config = edited_config(finished, "damping", influence={"damping": 0.3})
    rerun = planned(finished, config=config)
    assert {"solve_ihvp", "score_rows", "rank_rows", "check_fidelity"} <= set(rerun)
    unaffected = {"row_gradients", "probe_gradient", "fit_factors", "train_baseline"}
    assert not unaffected & set(rerun)
    arms = yaml.safe_load((finished / config).read_text())["arms"]
    by_score = [arm for arm in arms.values() if "target" in arm]
    assert rerun["build_arm"] == sum(arm.get("draws", 1) for arm in by_score)
    assert "retrain_arm" not in rerun  # not before the rows are known to be others


def test_factors_of_other_rows_go_with_the_probes_that_are_there(
    finished: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(finished, clone, symlinks=True)
    config = edited_config(clone, "fewer", curvature={"rows": 48})
    product = "results/smoke/influence/ihvp/start/induction.h5"
    result = run(clone, product, config=config)
    assert result.returncode == 0, result.stdout[-4000:]
    assert jobs(result.stdout) == {"fit_factors": 1, "solve_ihvp": 1}
    smaller = edited_config(clone, "smaller", curvature={"rows": 48, "batch_size": 16})
    assert planned(clone, product, config=smaller) == {}


def test_stale_results_of_another_config_are_refused(finished: Path) -> None:
    # Without Snakemake's records only the stores themselves know what they are.
    clone = finished.parent / "stale"
    shutil.copytree(finished, clone)
    shutil.rmtree(clone / ".snakemake")
    now = time.time()
    for path in (clone / "results").rglob("*"):
        os.utime(path, (now, now))  # nothing looks older than what it was made from
    config = edited_config(clone, "stale", curvature={"rows": 40})
    product = "results/smoke/influence/ihvp/start/induction.h5"
    (clone / product).unlink()
    result = run(clone, product, config=config)
    assert result.returncode != 0
    assert (
        "results/smoke/curvature/start.h5: made under another config: "
        "curvature.rows is 64 there, 40 here"
    ) in result.stdout
    shutil.rmtree(clone)


def test_edited_module_reruns_the_stages_that_use_it(finished: Path) -> None:
    module = finished / "scripts/headwater/influence/inverse.py"
    before = module.read_text()
    module.write_text(before + "\nUNUSED = 1\n")
    rerun = planned(finished)
    module.write_text(before)
    assert "solve_ihvp" in rerun
    assert not {"row_gradients", "fit_factors", "train_baseline"} & set(rerun)


def test_deleted_arm_is_the_only_one_retrained(finished: Path) -> None:
    before = contents(finished)
    shutil.rmtree(finished / "results/smoke/retraining/remove_top-seed0")
    (finished / "results/smoke/interventions/remove_top-seed0.h5").unlink()
    shutil.rmtree(finished / "results/smoke/evaluation/remove_top")
    result = run(finished)
    assert result.returncode == 0, result.stdout[-4000:]
    done = jobs(result.stdout)
    assert done["retrain_arm"] == done["build_arm"] == done["evaluate_arm"] == 1
    assert "train_baseline" not in done
    assert contents(finished) == before


def test_one_more_draw_trains_no_other(finished: Path) -> None:
    arm = smoke_config(finished)["arms"]["remove_random"]
    more = {"remove_random": {**arm, "draws": arm["draws"] + 1}}
    rerun = planned(finished, config=edited_config(finished, "draws", arms=more))
    assert rerun["build_arm"] == rerun["retrain_arm"] == rerun["evaluate_arm"] == 1
    assert not {"score_rows", "row_gradients", "train_baseline"} & set(rerun)


def test_any_file_is_a_target_by_its_path(finished: Path) -> None:
    steps = "results/smoke/checkpoints/step16"
    assert planned(finished, steps, "--forcerun", "train_baseline")["train_baseline"]


def test_every_stage_is_a_target(finished: Path) -> None:
    files = {path.stem for path in (finished / "rules").glob("*.smk")}
    asked_for = {"catalysts", "metagradient"}  # by name only
    for stage in sorted(files - {"common", "targets"} - asked_for):
        assert planned(finished, stage) == {}
    assert planned(finished, "catalysts")["describe_catalysts"] == 2


def test_report_has_the_page_as_its_one_item(finished: Path) -> None:
    result = run(finished, "--report", "report.zip")
    assert result.returncode == 0, result.stdout[-4000:]
    names = zipfile.ZipFile(finished / "report.zip").namelist()
    pages = [name for name in names if name.endswith("index.html")]
    assert pages, names
    assert not [name for name in names if name.endswith((".svg", ".png"))]


def test_exact_scores_need_no_gradient_store(finished: Path) -> None:
    config = edited_config(finished, "exact", influence={"method": "exact"})
    everything = planned(finished, "--forceall", config=config)
    assert everything["stream_scores"] == smoke_config(finished)["gradients"]["shards"]
    assert not {"score_rows", "row_gradients"} & set(everything)
    rest = {"rank_rows", "check_fidelity", "retrain_arm", "write_summary"}
    assert rest <= set(everything)


def test_every_point_of_the_window_has_its_own_gradients(finished: Path) -> None:
    smoke = smoke_config(finished)
    targets, shards = len(smoke["targets"]), smoke["gradients"]["shards"]
    config = edited_config(finished, "points", window={"checkpoints": 2})
    everything = planned(finished, "--forceall", config=config)
    once = planned(finished, "--forceall")
    for rule, jobs_once in [
        ("fit_factors", 1),
        ("row_gradients", shards),
        ("probe_gradient", targets),
        ("solve_ihvp", targets),
    ]:
        assert (once.pop(rule), everything.pop(rule)) == (jobs_once, 2 * jobs_once)
    assert everything == once


def test_a_new_target_trains_nothing_again(finished: Path) -> None:
    config = edited_config(finished, "asked", targets={"copying": COPYING})
    rerun = planned(finished, config=config)
    own = ("select_target", "probe_gradient", "solve_ihvp", "rank_rows", "score_tokens")
    assert [rerun[rule] for rule in own] == [1] * len(own)
    assert rerun["score_rows"] == smoke_config(finished)["gradients"]["shards"]
    assert rerun["evaluate_arm"] == len(smoke_config(finished)["arms"]) + 1
    together = {"evaluate_arm", "measure_effects", "check_fidelity", "write_report"}
    together |= {"judge_arms", "write_summary"}
    figures = {"plot_emergence", "plot_enrichment"}
    assert set(rerun) == {*own, "score_rows", *together, *figures, "all"}


def test_a_new_target_and_the_variants_are_asked_of_stored_gradients(
    finished: Path,
) -> None:
    before = contents(finished)
    config = edited_config(finished, "asked", targets={"copying": COPYING})
    ranked = "results/smoke/influence/copying.tsv"
    result = run(finished, ranked, "variants", config=config)
    after = contents(finished)
    table, scores = None, None
    if result.returncode == 0:
        table = pd.read_csv(finished / "results/smoke/influence/variants.tsv", sep="\t")
        scores = scores_of(finished, "copying")
    for name in after.keys() - before.keys():
        (finished / "results/smoke" / name).unlink()
    for name in ("copying", "copying.zarr"):
        shutil.rmtree(finished / "results/smoke/influence" / name, ignore_errors=True)
    assert table is not None, result.stdout[-4000:]
    assert scores is not None
    assert not {"row_gradients", "fit_factors"} & set(jobs(result.stdout))
    assert {name: after[name] for name in before} == before
    assert np.isfinite(scores).all()
    assert scores.std() > 0
    check_variants(table, window_rows(smoke_config(finished)))


def check_variants(table: pd.DataFrame, rows: int) -> None:
    assert list(table.columns) == ["target", "variant", "rows", "spearman", "overlap"]
    assert set(table["target"]) == {"induction", "previous_token", "copying"}
    others = ["detached_heads", "as_released", "diagonal", "identity"]
    for target, lines in table.groupby("target"):
        # The released code differs in the induction probe only.
        more = ["probe_off_by_one"] if target == "induction" else []
        assert lines["variant"].tolist() == more + others
    assert (table["rows"] == rows).all()
    assert table["spearman"].between(-1, 1).all()
    assert table["overlap"].between(0, 1).all()
    wrong = table.query("target == 'induction' and variant == 'probe_off_by_one'")
    assert wrong["spearman"].item() < 0.99


def ask(clone: Path, *words: str, script: str = "ask") -> subprocess.CompletedProcess:
    command = [sys.executable, f"scripts/{script}.py", *words]
    return subprocess.run(
        [*command, "--configfile", "config/smoke.yaml"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_finished_experiment_answers_as_the_workflow_did(
    finished: Path, tmp_path: Path
) -> None:
    """The same probe and damping, asked of the stores: the workflow's own table."""
    targets = finished / "results/smoke/heads/targets"
    head = json.loads((targets / "induction.json").read_text())["head"]
    output = str(tmp_path / "answer.tsv")
    result = ask(finished, head, "--probe", "induction", "--output", output)
    assert result.returncode == 0, result.stderr
    known = pd.read_csv(finished / "results/smoke/influence/induction.tsv", sep="\t")
    pd.testing.assert_frame_equal(
        pd.read_csv(output, sep="\t"), known, rtol=1e-4, atol=1e-5
    )
    assert f"{known['row'][0]:8d}" in result.stdout.splitlines()[1]


def test_other_questions_and_wrong_ones(finished: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one two one two"}\n')
    result = ask(finished, "L0H1", "--probe", "dataset", "--data", str(rows))
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 11
    first = ask(finished, "L0H1", "--like", "200").stdout.splitlines()[1].split()
    assert first[1] == "200"
    assert float(first[3]) > 0.9
    for words, reason in (
        (("L5H0", "--probe", "induction"), "L5H0: the model has layers 0..1"),
        (("L1", "--probe", "induction"), "L1 is not in this store"),
        (("5", "--probe", "induction"), "'5' is no unit; write L1H3"),
        (("L0H1", "--like", "1"), "row 1: not in the window"),
        (("L0H1", "--probe", "dataset"), "--data goes with the probes activation"),
    ):
        result = ask(finished, *words)
        assert result.returncode == 1
        *echo, error = result.stderr.strip().splitlines()
        assert error.startswith("error: ")
        assert reason in error
        assert all(line.startswith(("asked: ", "of smoke ")) for line in echo)


def test_a_target_is_asked_by_its_name(finished: Path) -> None:
    known = pd.read_csv(finished / "results/smoke/influence/induction.tsv", sep="\t")
    result = ask(finished, "induction", "--top", "2", "--bottom", "1", "--tokens")
    assert result.returncode == 0, result.stderr
    assert "(target induction), probe induction on 16 sequences" in result.stderr
    lines = result.stdout.splitlines()
    shown = [line.split() for line in lines if not line.startswith("    ")][1:]
    rows = [*known["row"].head(2), known["row"].iloc[-1]]
    assert [int(line[1]) for line in shown] == rows
    assert sum("tokens: " in line for line in lines) == 3


def test_rows_of_ones_own_are_scored_as_the_workflow_did(
    finished: Path, tmp_path: Path
) -> None:
    """Training rows, given as new ones, have their own exact scores."""
    results = finished / "results/smoke"
    with h5py.File(results / "influence/induction.tokens.h5") as file:
        numbers, parts = file["rows"][...], file["scores"][...]
    shards = sorted((results / "corpus").glob("0*.zarr"))
    tokens = [zarr.open_group(path, mode="r")["tokens"][...] for path in shards]
    rows = np.concatenate(tokens)[numbers].tolist()
    file, output = tmp_path / "rows.jsonl", tmp_path / "scores.tsv"
    file.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
    words = ["induction", "--rows", str(file), "--output", str(output), "--tokens"]
    result = ask(finished, *words, script="score")
    assert result.returncode == 0, result.stderr
    found = pd.read_csv(output, sep="\t")
    np.testing.assert_allclose(found["score"], parts.sum(axis=1), rtol=1e-3, atol=1e-4)
    assert found["line"].tolist() == [*range(1, len(rows) + 1)]
    ranked = found.sort_values("score")["percentile"]
    assert ranked.is_monotonic_increasing
    assert ranked.iloc[0] < 2
    assert ranked.iloc[-1] > 98
    assert "tokens: " in result.stdout


def test_two_runs_of_one_experiment_do_not_mix(finished: Path) -> None:
    import fcntl

    path = finished / "results" / ".smoke.lock"
    with path.open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.write("pid 1 on elsewhere")
        handle.flush()
        result = run(finished, "--forcerun", "write_summary")
    path.unlink()
    assert result.returncode != 0
    assert "results/smoke: another process is writing it" in result.stdout


def test_mistakes_in_the_config_end_before_any_job(finished: Path) -> None:
    config = edited_config(
        finished, "typo", influence={"dampingg": 0.1}, training={"steps": "many"}
    )
    result = run(finished, config=config)
    assert result.returncode == 1
    assert (
        'config/typo.yaml: influence.dampingg: unknown key; did you mean "damping"?'
        in result.stdout
    )
    assert "config/typo.yaml: training.steps: " in result.stdout
    assert "Traceback" not in result.stdout
    assert "Job stats" not in result.stdout


def test_bad_shard_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    shard = clone / "resources/corpus/00.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[:-1000])
    result = run(clone, "corpus")
    assert result.returncode != 0
    ending = result.stdout.split("Headwater stopped:")[-1]
    assert "resources/corpus/00.jsonl.zst" in ending
    assert "truncated" in ending
    assert not (clone / "results/smoke/corpus/tokenizer").exists()
