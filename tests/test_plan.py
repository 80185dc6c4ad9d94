"""What a plan says, and that it is what Snakemake does and what jobs leave."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zarr

from clone import REPOSITORY, jobs, make_clone, run
from headwater import progress
from headwater.checkpoints import needs
from headwater.config import load_config
from headwater.corpus import rowstore
from headwater.corpus.rowstore import RowBlock, RowWriter
from headwater.influence.files import write_scores
from headwater.interventions.scores import SMOOTHED
from headwater.models.sections import unit_of
from headwater.plan import rates, shape
from headwater.plan.dag import ROWS, _conditions, count_jobs, rule_names, rules
from headwater.plan.estimate import Folders, gradient_seconds
from headwater.plan.experiment import Experiment, Sources, sources_of
from headwater.plan.limits import (
    Limit,
    disk_warning,
    memory_warning,
    range_text,
    right_shards,
    shard_warning,
    time_warning,
)
from headwater.plan.ranges import Range
from headwater.plan.sizes import Output, checkpoint_bytes, row_store, score_store
from headwater.plan.sizes import gradient_store as planned_store
from headwater.plan.table import PlanRow, as_tsv, duration, render
from headwater.plan.work import START, Load
from headwater.projection import writer as gradient_writer
from headwater.projection.coordinates import Coordinates, Projection
from headwater.publish import write_text

NAMES = (
    *("config", "planted", "bank", "smoke", "smoke-llama", "smoke-gpt2"),
    *("pythia-14m", "pythia-160m", "motifs-160m", "olmo2-1b", "qwen-small"),
)
PLANNED = [f"{name}.yaml" for name in NAMES]
TEXT = Sources(2, 0, False, False, 0)


def ready(name: str = "config.yaml", **changes: dict) -> dict:
    raw = yaml.safe_load((REPOSITORY / "config" / name).read_text())
    for section, keys in changes.items():
        raw[section] = raw.get(section, {}) | keys
    return load_config(raw, name, REPOSITORY)


# The same jobs as Snakemake's


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clone(tmp_path_factory.mktemp("plan"))


@pytest.mark.workflow
@pytest.mark.parametrize("name", PLANNED)
def test_the_plan_has_the_jobs_of_snakemakes_own_dag(clone: Path, name: str) -> None:
    config = f"config/{name}"
    experiment = yaml.safe_load((clone / config).read_text())["experiment"]
    result = run(clone, "plan", config=config)
    assert result.returncode == 0, result.stdout[-3000:]
    table = pd.read_csv(clone / f"results/{experiment}/plan.tsv", sep="\t")
    shutil.rmtree(clone / "results")
    dry = run(clone, "-n", config=config)
    expected = jobs(dry.stdout)
    assert expected.pop("all") == 1
    assert dict(zip(table["rule"], table["jobs"], strict=True)) == expected
    assert f"{len(expected)}" == str(len(table))


@pytest.mark.workflow
def test_a_cluster_is_planned_for_from_any_machine(clone: Path) -> None:
    profile = ("--profile", "profiles/slurm", "--executor", "local")
    result = run(clone, *profile, "plan", config="config/pythia-14m.yaml")
    assert result.returncode == 0, result.stdout[-3000:]
    table = pd.read_csv(clone / "results/pythia-14m/plan.tsv", sep="\t", index_col=1)
    assert table.loc["row_gradients", "gpu_hours_low"] > 0
    assert table.loc["order_rows", "gpu_hours_high"] == 0
    assert "its limit is" not in result.stdout
    short = ("--set-resources", "fit_factors:runtime=1")
    result = run(clone, *profile, "plan", *short, config="config/pythia-14m.yaml")
    assert "WARNING fit_factors: a job will need" in result.stdout


@pytest.mark.workflow
def test_a_plan_is_made_beside_a_run_of_the_experiment(clone: Path) -> None:
    import fcntl

    (clone / "results").mkdir(exist_ok=True)
    with (clone / "results" / ".smoke.lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = run(clone, "plan", "--set-resources", "fit_factors:mem_mb=9")
    assert result.returncode == 0, result.stdout[-3000:]
    assert "WARNING fit_factors: a job needs about" in result.stdout
    assert "results/smoke/plan.tsv" in result.stdout


@pytest.mark.workflow
def test_every_member_of_a_study_is_planned(clone: Path) -> None:
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text())
    config["study"] = {"seeds": [0, 3]}
    (clone / "config/study.yaml").write_text(yaml.safe_dump(config))
    said = run(clone, "plan", config="config/study.yaml").stdout.splitlines()
    begin = next(n for n, line in enumerate(said) if line.startswith("member"))
    rows = [line.split() for line in said[begin + 1 : begin + 4]]
    assert [row[0] for row in rows] == ["seed0", "seed3", "all"]
    assert int(rows[0][1]) + int(rows[1][1]) == int(rows[2][1])
    assert rows[0][1] == rows[1][1]


@pytest.mark.parametrize(
    ("changes", "rule", "count"),
    [
        ({"influence": {"method": "exact"}}, "stream_scores", 2),
        ({"window": {"checkpoints": 3}}, "row_gradients", 6),
        ({"window": {"checkpoints": 3}}, "solve_ihvp", 6),
        ({"corpus": {"row_shards": 5}}, "order_rows", 5),
    ],
)
def test_jobs_follow_the_config(changes, rule, count) -> None:
    counts = count_jobs(Experiment(ready(**changes), TEXT))
    assert sum(of.get(rule, 0) for of in counts.values()) == count


def test_a_metagradient_is_priced_where_an_arm_names_it() -> None:
    config = ready()
    plain = count_jobs(Experiment(config, TEXT))
    assert "metagradient" not in plain
    arm = {**config["arms"]["remove_top"], "score": "metagradient"}
    config["arms"] = {**config["arms"], "meta": arm}
    experiment = Experiment(config, TEXT)
    counts = count_jobs(experiment)
    assert counts["metagradient"] == {"differentiate": 1, "check_linearity": 1}
    [load], [training] = (
        rules()[name].loads(experiment) for name in ("differentiate", "retrain_arm")
    )
    times = load.operations.low / training.operations.low
    assert 3 < times < load.operations.high / training.operations.high < 7
    states = rules()["differentiate"].leaves(experiment).rewritten
    assert states.high == config["metagradient"]["space_gb"] * 1e9


def test_smoothed_metagradients_are_priced_by_their_trainings() -> None:
    config = ready()
    config["metagradient"] = {**config["metagradient"], "draws": 5}

    def made(*smoothings: str) -> tuple[int, Load, Output]:
        top = config["arms"]["remove_top"]
        arms = {name: {**top, "score": SMOOTHED[name]} for name in smoothings}
        experiment = Experiment({**config, "arms": {**config["arms"], **arms}}, TEXT)
        counts = count_jobs(experiment)["metagradient"]
        assert {*counts} == {"smooth_metagradient"}
        rule = rules()["smooth_metagradient"]
        [load] = rule.loads(experiment)
        return counts["smooth_metagradient"], load, rule.leaves(experiment)

    (one, once, leaves), (_, draws, _) = made("segments"), made("orders")
    assert one == 1
    assert draws.units == once.units * 5
    assert draws.operations == once.operations
    assert leaves.rewritten.high == config["metagradient"]["space_gb"] * 1e9
    jobs, load, _ = made("segments", "subsets", "path", "orders")
    assert jobs == load.jobs == 4
    assert load.units == once.units * 4  # the mean of 1, 5, 5 and 5


def test_every_row_is_of_a_rule_and_every_condition_is_known() -> None:
    assert set(ROWS) <= set(rules())
    known = _conditions(Experiment(ready(), TEXT))
    assert {rule.condition for rule in rules().values()} <= set(known)
    for name, rule in rules().items():
        assert rule.path, f"{name}: its row must say a path"
        assert rule.pattern.pattern  # its wildcards have constraints


def test_every_rule_with_a_script_is_known() -> None:
    """All but `plan` and `study`, which make no results of the experiment."""
    texts = [path.read_text() for path in (REPOSITORY / "rules").glob("*.smk")]
    scripts = {
        name for text in texts for name in re.findall(r"scripts/(\w+)\.py", text)
    }
    assert scripts - {"plan", "study"} == set(rules()) <= rule_names()


def test_a_rule_without_a_row_is_one_small_job_for_each_value(monkeypatch) -> None:
    monkeypatch.setattr("headwater.plan.dag.ROWS", {})
    experiment = Experiment(ready(), TEXT)
    figure, choice = rules()["plot_emergence"], rules()["select_target"]
    assert (figure.jobs(experiment), figure.leaves(experiment).files.low) == (1, 2)
    assert choice.jobs(experiment) == len(experiment.config["targets"])
    assert [load.start for load in choice.loads(experiment)] == [START]
    without = Experiment({**ready(), "arms": {}}, TEXT)
    assert figure.jobs(without) == 0


@pytest.mark.workflow
def test_outputs_are_where_snakemakes_own_dag_has_them(clone: Path) -> None:
    lines = run(clone, "--summary").stdout.splitlines()
    table = [line.split("\t") for line in lines if line.startswith("results/")]
    config = ready("smoke.yaml")
    experiment = Experiment(config, sources_of(config, clone))
    for name, rule in rules().items():
        own = {
            maker
            for path, _, maker, *_ in table
            if rule.pattern.fullmatch(path.removeprefix("results/smoke/"))
        }
        count = sum(
            maker == name
            and rule.pattern.fullmatch(path.removeprefix("results/smoke/")) is not None
            for path, _, maker, *_ in table
        )
        jobs = rule.jobs(experiment)
        assert count == jobs * rule.outputs_each(experiment), name
        assert not jobs or own == {name}


# The same bytes and files as the stores'


def test_a_checkpoint_has_the_planned_bytes() -> None:
    from headwater.training.run import new_model

    config = ready("smoke.yaml")
    model = new_model(config, needs.vocabulary(config), 0)
    assert sum(p.numel() for p in model.parameters()) == needs.parameters(config)
    assert checkpoint_bytes(config, moments=True) == 12 * needs.parameters(config)


def count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def total_bytes(folder: Path, name: str) -> int:
    return sum(p.stat().st_size for p in (folder / name).rglob("*") if p.is_file())


def test_a_gradient_store_has_the_planned_bytes_and_files(tmp_path, monkeypatch):
    config = ready("smoke.yaml")
    units = [unit_of(f"L{la}H{he}", config) for la in range(2) for he in range(2)]
    kept = Coordinates(np.arange(shape.unit_parameters(config)), np.ones(2048))
    projections = {unit: Projection(kept, 4, 1) for unit in units}
    monkeypatch.setattr(gradient_writer, "CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(gradient_writer, "SHARD_BYTES", 1 << 19)
    monkeypatch.setattr("headwater.shardfile.SHARD_BYTES", 1 << 19)
    path = tmp_path / "0000.zarr"
    stamp = {"stage": "gradients"}
    writer = gradient_writer.GradientWriter(path, stamp, 0, 256, projections)
    rows = {unit: torch.randn(256, 2048) for unit in units}
    writer.append(rows, torch.ones(256))
    writer.close()
    planned = planned_store(Range.exactly(256), config)
    assert planned.files == Range.exactly(count_files(path) + 1)  # the time stamp
    assert planned.kept.low == pytest.approx(
        total_bytes(path, "codes") + 256 * 4 * 4 + 256 * 4 + 4 * 2048 * 16, rel=0.01
    )


def test_a_row_store_has_the_planned_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rowstore, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(rowstore, "_FILE_TOKENS", 33 * 7 * 3)
    monkeypatch.setattr(rowstore, "_FILE_ENTRIES", 70)
    group = zarr.create_group(tmp_path / "a.zarr")
    writer = RowWriter(group, 33, np.dtype(np.uint16))
    tokens = np.arange(150 * 33, dtype=np.uint16).reshape(150, 33)
    spans = np.ones((150, 6), np.int64)
    ones = np.ones(150, np.int64)
    for part in (slice(0, 11), slice(11, 90), slice(90, 150)):
        rows = RowBlock(tokens[part], ones[part].astype("u1"), ones[part], spans[part])
        writer.append(rows)
    writer.close()
    planned = row_store(Range.exactly(150), 33, 2)
    found = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(found["tokens"][...], tokens)
    assert planned.files.low == count_files(tmp_path / "a.zarr")
    assert count_files(tmp_path / "a.zarr" / "tokens") == 1 + 8  # of 21 rows
    assert count_files(tmp_path / "a.zarr" / "domain") == 1 + 3  # of 70


def test_a_score_store_has_the_planned_files(tmp_path) -> None:
    scores = np.ones(20_000, np.float32)
    write_scores(tmp_path / "a.zarr", 0, scores, scores, {})
    planned = score_store(Range.exactly(20_000)).files
    assert planned == Range.exactly(count_files(tmp_path / "a.zarr") + 1)


def test_a_million_rows_of_pythia_are_few_files() -> None:
    million = row_store(Range.exactly(1_000_000 / 8), 2049, 2).files * 8
    assert million.high <= 200
    config = ready("pythia-14m.yaml", gradients={"units": ["L*H*"]})
    shards = config["gradients"]["shards"]
    stores = planned_store(Range.exactly(1_000_000 / shards), config).files * shards
    assert stores.high <= 208


# Time


def test_measured_rates_take_the_place_of_assumptions(tmp_path) -> None:
    folders = Folders(tmp_path / "results", tmp_path / "logs")
    config = ready("planted.yaml", window={"start": 800, "end": 1375})
    assumed = gradient_seconds(config, folders)
    log = folders.logs / "gradients/row_gradients-start-0000.log"
    log.parent.mkdir(parents=True)
    line = "10:00:00 gradients start 0000: 9,200/9,200 rows · {} rows/s · ETA 0:00{}\n"
    log.write_text(line.format("2.0", ""))
    assert gradient_seconds(config, folders) == assumed, "of a CPU, for a GPU"
    log.write_text(line.format("2.0", " · GPU memory 3.1 GB"))
    found = gradient_seconds(config, folders)
    assert found.low == pytest.approx(9200 / 2 * 0.9, abs=20)
    assert found.high == pytest.approx(9200 / 2 * 1.2, abs=21)


def test_the_last_line_of_each_label_counts(tmp_path) -> None:
    log = tmp_path / "fit_factors-start.log"
    log.write_text(
        "21:24:40 covariances: 1,000/2,000 rows · 10.0 rows/s · ETA 1:40\n"
        "21:24:47 covariances: 2,000/2,000 rows · 20.0 rows/s · ETA 0:00\n"
        "21:24:51 lambdas: 500/2,000 rows · 5.0 rows/s · ETA 5:00\n"
        "21:24:52 a line of another kind\n"
    )
    lines = progress.last_lines(log)
    assert [(ln.label, ln.done, ln.total) for ln in lines.values()] == [
        ("covariances", 2000, 2000),
        ("lambdas", 500, 2000),
    ]
    each = rates.seconds_each([log], gpu=False)
    assert each == Range(0.25 * 0.9, 0.25 * 1.2)
    assert rates.seconds_each([tmp_path / "none.log"], gpu=False) is None


def test_a_broken_benchmark_table_is_passed_over(tmp_path) -> None:
    write_text(tmp_path / "a.tsv", "s\th:m:s\n2.5\t0:00:02\n")
    write_text(tmp_path / "b.tsv", "")
    found = rates.seconds_taken([tmp_path / "a.tsv", tmp_path / "b.tsv"])
    assert found == Range(2.5 * 0.9, 2.5 * 1.2)


def test_a_job_takes_its_start_and_its_units() -> None:
    load = Load(Range(10, 20), "rows", Range(1e9, 1e9), Range(0.5, 1.0), Range(1, 2))
    assert load.seconds(Range(1e9, 2e9)) == Range(1 + 10 * 1.0, 2 + 20 * 2.0)
    assert load.seconds(Range(1, 1), Range(3, 4)) == Range(31, 82)


# Limits


def test_what_does_not_fit_is_said_with_what_to_do() -> None:
    config = ready("pythia-14m.yaml")
    rule = "row_gradients"
    assert time_warning(rule, Range(60, 600), Limit(runtime=10)) is None
    warning = time_warning(rule, Range(60, 900), Limit(runtime=10))
    assert warning
    assert "may need 1-15 minutes, its limit is 10" in warning
    warning = time_warning("fit_factors", Range(900, 1200), Limit(runtime=10))
    assert warning
    assert "will need 15-20 minutes" in warning
    assert time_warning("retrain_arm", Range(900, 1200), Limit(runtime=10)) is None
    warning = memory_warning("retrain_arm", config, Limit(mem_mb=1000))
    assert warning
    assert "the profile gives it 1000" in warning
    assert memory_warning("rank_rows", config, Limit(mem_mb=1)) is None
    assert disk_warning(Range(1e9, 2e9), 0, 3e9) is None
    assert "may be written" in (disk_warning(Range(1e9, 4e9), 0, 3e9) or "")
    assert disk_warning(Range(1e9, 4e9), 2e9, 3e9) is None


def test_shards_that_are_not_worth_scheduling() -> None:
    config = ready("pythia-14m.yaml", gradients={"shards": 16})
    assert shard_warning(config, Range(3600, 3600)) is None
    short = shard_warning(config, Range(120, 480))
    assert short
    assert "16 jobs of row_gradients of 2-8 GPU-minutes are too short" in short
    assert "gradients.shards: 2 would be right" in short
    long = shard_warning(config, Range(8000, 12000)) or ""
    assert "too long" in long
    assert "gradients.shards: 44 would be right" in long
    assert right_shards(Range(1, 1), 1) == 1
    one = ready("pythia-14m.yaml", gradients={"shards": 1})
    assert shard_warning(one, Range(10, 20)) is None, "fewer than one there are not"


# The table


def test_numbers_are_short_and_ranges_honest() -> None:
    assert range_text(Range(0.0049, 0.12)) == "0-0.12"
    assert range_text(Range(1234.4, 1234.4)) == "1,234"
    assert duration(Range(60, 5399)) == "1-90 min"
    assert duration(Range(1, 80)) == "1-80 s"
    assert duration(Range(1800, 7200)) == "0.5-2 h"


def test_stages_are_summed_and_rules_listed() -> None:
    amounts = (Range(1, 2), Range(0, 0), Range(2e9, 2e9), Range(1e9, 1e9), Range(3, 3))
    lines = [
        PlanRow("heads", "a", 1, *amounts, Range(5, 6), "measured"),
        PlanRow("heads", "b", 2, *amounts, Range(50, 60), "assumed"),
    ]
    text = render(lines).splitlines()
    words = ["heads", "3", "2-4", "0", "4", "2", "6", "50-60", "s"]
    assert text[1].split() == [*words, "in", "part", "measured"]
    assert text[-1].startswith("all ")
    table = as_tsv(lines).splitlines()
    assert table[0].startswith("stage\trule\tjobs\tcpu_hours_low\tcpu_hours_high")
    assert table[2].split("\t")[:5] == ["heads", "b", "2", "1", "2"]


def test_no_module_of_the_plan_is_slow_to_parse() -> None:
    """Rules import them: neither torch nor zarr."""
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, 'scripts');"
        "import headwater.plan.estimate, headwater.plan.limits;"
        "print([m for m in ('torch', 'zarr', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
