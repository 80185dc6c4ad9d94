"""The library for notebooks: what it reads is what the files hold."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

import headwater
from headwater import seals
from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.identity import SPEED, identity, without_speed
from headwater.influence.files import write_scores
from headwater.interventions.runs import arm_runs
from headwater.library.run import Run
from small_run import (
    ARMS,
    DOMAINS,
    PICKED,
    ROWS,
    SIZE,
    TARGETS,
    WIDTH,
    WINDOW,
    SmallRun,
)

FIRST = WINDOW.start * SIZE
COUNT = (WINDOW.end - WINDOW.start) * SIZE
SCRIPTS = Path(headwater.__file__).parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SmallRun:
    return SmallRun(tmp_path_factory.mktemp("made") / "results" / "small")


@pytest.fixture(scope="module")
def run(made) -> Run:
    return headwater.open(made.folder)


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "results" / "small"
    shutil.copytree(made.folder, folder)
    return folder


def test_scores_are_those_of_the_store_for_every_row(made, run):
    for name in TARGETS:
        table = run.scores(name)
        store = zarr.open_group(made.folder / f"influence/{name}.zarr", mode="r")
        np.testing.assert_array_equal(table["score"], store["scores"][:])
        np.testing.assert_array_equal(table["loss"], store["losses"][:])
        assert table["row"].tolist() == list(range(FIRST, FIRST + COUNT))
        assert table["step"].tolist() == [row // SIZE for row in table["row"]]
        domains = [DOMAINS[made.domain[row]] for row in table["row"]]
        assert table["domain"].tolist() == domains


def test_ranks_are_those_of_the_ranked_table(made, run):
    path = made.folder / "influence/induction.tsv"
    wanted = pd.read_csv(path, sep="\t", keep_default_na=False).set_index("row")
    found = run.scores().set_index("row")["rank"]
    assert found[wanted.index].tolist() == wanted["rank"].tolist()
    assert sorted(found) == list(range(1, COUNT + 1))


def test_a_target_is_known_by_its_unit_and_by_default_the_windows(run):
    pd.testing.assert_frame_equal(run.scores(), run.scores("induction"))
    pd.testing.assert_frame_equal(run.scores("L0H1"), run.scores("other"))
    assert not run.scores()["score"].equals(run.scores("other")["score"])
    assert list(run.targets) == ["induction", "other"]
    assert {name: t.unit for name, t in run.targets.items()} == TARGETS


def test_the_config_is_what_the_results_were_made_with(made, run):
    wanted = made.config
    for section, found in run.config.items():
        speed = SPEED.get(section, ())
        if section == "experiment":
            assert found == "small"
        elif isinstance(found, dict):
            known = {k: v for k, v in wanted[section].items() if k not in speed}
            assert found == known, section
        else:
            assert found == wanted[section]
    missing = {"retraining", "evaluation", "experiment"}  # no result here says them
    assert {*wanted, "experiment"} - missing == {*run.config} - {"experiment"}
    assert run.window == WINDOW
    assert run.points == [WINDOW.start]
    assert run.rows == range(FIRST, FIRST + COUNT)


def test_text_and_tokens_are_those_of_the_row(made, run):
    for row in (0, 39, 40, ROWS - 1):
        text = run.text(row)
        assert text == made.encoder.decode(made.tokens[row])
        table = run.tokens(row)
        assert table["token"].tolist() == made.tokens[row].tolist()
        assert table["position"].tolist() == list(range(WIDTH))
        cut = made.spans[row, 1, 4]
        assert table["document"].tolist() == [int(i >= cut) for i in range(WIDTH)]
        assert set(table["line"]) == {made.order[row] + 1}
        assert table["source"].tolist() == [
            "00" if place < cut else "b\nc" for place in range(WIDTH)
        ]
        assert set(table["domain"]) == {DOMAINS[made.domain[row]]}
        whole = table[~table["text"].str.contains("\ufffd")]
        assert all(part in text for part in whole["text"])


def test_parts_of_a_score_stand_beside_its_tokens_where_they_are_known(made, run):
    row, parts = next(iter(made.parts.items()))
    np.testing.assert_array_equal(run.tokens(row)["score"][:-1], parts)
    assert run.tokens(row)["score"].iloc[-1] == 0
    other = next(row for row in run.rows if row not in made.parts)
    assert run.tokens(other)["score"].isna().all()


def test_documents_say_where_a_row_is_from(made, run):
    table = run.documents(50)
    assert table["source"].tolist() == ["00", "b\nc"]
    assert table["start"].tolist() == [0, 3]
    assert table["stop"].tolist() == made.spans[50, :, 3].tolist()
    assert table["token"].tolist() == made.spans[50, :, 4].tolist()
    assert f"line {made.order[50] + 1}" in table["place"][0]


def test_curves_are_the_tables_of_all_runs(made, run):
    table = run.curves()
    runs = {"baseline", *made.made}
    assert set(table["run"]) == runs
    for path in (made.folder / "evaluation").glob("*/*.tsv"):
        wanted = pd.read_csv(path, sep="\t")
        found = table[table["run"] == path.stem]
        assert set(found["arm"]) == {path.parent.name}
        columns = ["step", "metric", "kind", "name", "value"]
        own = found[columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, wanted)
    assert set(run.curves("insert_random")["draw"]) == {0, 1}
    assert set(run.curves("baseline")["run"]) == {"baseline"}


@pytest.mark.parametrize(
    ("method", "file"),
    [
        ("effects", "evaluation/effects.tsv"),
        ("specificity", "evaluation/specificity.tsv"),
        ("verdicts", "report/verdicts.tsv"),
        ("heads", "heads/scores.tsv"),
    ],
)
def test_tables_are_as_they_are_stored(made, run, method, file):
    wanted = pd.read_csv(made.folder / file, sep="\t")
    found = getattr(run, method)()
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    assert len(found)


def test_domains_keep_their_names(run):
    assert set(run.domains()["domain"]) == set(DOMAINS)


def test_rows_of_an_arm_are_what_it_trains_on(made, run):
    assert {*run.arms} == {*ARMS}
    assert run.arms["insert_random"]["draws"] == 2
    for name, arm in made.made.items():
        table = run.arm_rows(name)
        np.testing.assert_array_equal(table["row"] - FIRST, arm.rows)
        np.testing.assert_array_equal(table["weight"], arm.weights)
        assert table["position"].tolist() == list(run.rows)
        assert table["changed"].sum() == PICKED
        picked = set(table["row"][table["picked"]] - FIRST)
        assert picked == set(arm.picked.tolist())
    one, two = (run.arm_rows("insert_random", draw) for draw in range(2))
    assert not one.equals(two)
    pd.testing.assert_frame_equal(run.arm_rows("insert_random-seed1"), two)
    removed = run.arm_rows("remove_top").query("changed")
    assert set(removed["row"]) == set(run.scores().nsmallest(PICKED, "rank")["row"])


def test_what_is_known_of_a_unit(run):
    unit = run.unit("L1H2")
    assert list(unit.targets) == ["induction"]
    assert not unit.stored
    assert unit.blocks["parameters"].sum() == unit.size == 4 * 16 * 4
    assert unit.curve()["step"].tolist() == [0, 4, 8]
    assert set(unit.curve()["head"]) == {"L1H2"}
    pd.testing.assert_frame_equal(unit.scores(), run.scores("induction"))
    other = run.unit("L0H3")
    assert other.stored
    assert not other.targets
    assert "targets none, gradients kept" in repr(other)
    with pytest.raises(HeadwaterError, match=r"L0H3: no target traces it.*ask\.py"):
        other.scores()
    with pytest.raises(HeadwaterError, match="a neuron has no head's curve"):
        run.unit("L1N3").curve()
    assert run.unit("L0H1+L1H2").heads == ["L0H1", "L1H2"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda run: run.scores("inducton"), 'no target "inducton"; did you mean "ind'),
        (lambda run: run.scores("L1H3"), 'no target "L1H3"'),
        (lambda run: run.text(ROWS), "row 96: the training order has rows 0 to 95"),
        (lambda run: run.text(-1), "row -1: the training order has rows 0 to 95"),
        (lambda run: run.text("5"), "row '5': expected the number of a row"),
        (lambda run: run.arm_rows("remove_to"), 'no arm "remove_to"; did you mean "r'),
        (lambda run: run.arm_rows("remove_top", 1), "remove_top: no draw 1; there are"),
        (lambda run: run.curves("remove"), 'no arm "remove"'),
        (lambda run: run.unit("L7H0"), "L7H0: the model has layers 0..1"),
        (lambda run: run.unit("x"), "'x' is no unit; write L1H3"),
    ],
)
def test_what_there_is_not_is_told_in_one_line(run, ask, said):
    with pytest.raises(HeadwaterError) as error:
        ask(run)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_description_tells_what_there_is_and_shows_no_hidden_letters(run):
    told = repr(run)
    assert "steps 3 to 11: 64 rows, 24 to 87" in told
    assert "induction: head L1H2, probe prefix_matching" in told
    assert "not yet" not in told


def test_an_unfinished_run_says_what_is_missing_and_how_it_is_made(copied, monkeypatch):
    shutil.rmtree(copied / "report")
    (copied / "evaluation/effects.tsv").unlink()
    shutil.rmtree(copied / "influence/other.zarr")
    monkeypatch.chdir(copied.parent.parent)
    run = headwater.open("results/small")
    assert "verdicts" in repr(run)
    for ask, file in (
        (run.verdicts, "report/verdicts.tsv"),
        (run.effects, "evaluation/effects.tsv"),
        (lambda: run.scores("other"), "influence/other.zarr"),
    ):
        with pytest.raises(HeadwaterError) as error:
            ask()
        assert str(error.value) == (
            f"results/small/{file}: not there, or no longer; run `.venv/bin/snakemake "
            f"--cores all results/small/{file}` (and your --configfile) first"
        )
    assert len(run.scores()) == COUNT


def test_a_run_that_has_just_begun_can_be_opened_and_described(tmp_path):
    (tmp_path / "new" / "corpus").mkdir(parents=True)
    run = headwater.open(tmp_path / "new")
    assert "heads/window.json: not there" in repr(run)
    with pytest.raises(HeadwaterError, match=r"heads/window\.json: not there"):
        run.scores()


def test_before_rows_are_scored_text_and_curves_are_there(copied):
    for stage in ("influence", "interventions", "report"):
        shutil.rmtree(copied / stage)
    run = headwater.open(copied)
    told = repr(run)
    assert "arms     none" in told
    assert "not yet  scores, arm_rows, verdicts" in told
    assert run.tokens(30)["score"].isna().all()
    assert "".join(run.tokens(30)["text"])[-5:] == run.text(30)[-5:]
    assert set(run.curves()["run"]) == {"baseline"}
    for ask in (run.scores, lambda: run.unit("L1H2")):
        with pytest.raises(
            HeadwaterError, match=r"influence/induction\.zarr: not there"
        ):
            ask()


def test_what_is_no_run_is_refused(made, tmp_path):
    results = made.folder.parent
    with pytest.raises(HeadwaterError, match=r"folder; did you mean .*/small\?"):
        headwater.open(results / "smal")
    with pytest.raises(HeadwaterError, match="of an experiment; name one of"):
        headwater.open(results)
    with pytest.raises(HeadwaterError, match="a file; name the folder"):
        headwater.open(made.folder / "heads/window.json")
    with pytest.raises(HeadwaterError, match="no such folder"):
        headwater.open("a\0b")
    with pytest.raises(HeadwaterError, match="no such folder; it is looked for from"):
        headwater.open(tmp_path / "a\nb")
    with pytest.raises(HeadwaterError, match="no results of an experiment"):
        headwater.open(tmp_path)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "ask"),
    [
        ("heads/window.json", lambda run: run.window),
        ("heads/targets/other.json", lambda run: run.targets),
        ("influence/induction.zarr/scores/c/0", lambda run: run.scores()),
        ("influence/induction.tokens.h5", lambda run: run.tokens(30)),
        ("influence/induction.domains.tsv", lambda run: run.domains()),
        ("interventions/remove_top-seed0.h5", lambda run: run.arm_rows("remove_top")),
        ("evaluation/baseline/baseline.tsv", lambda run: run.curves()),
        ("corpus/0001.zarr/tokens/c/0/0", lambda run: run.text(60)),
        ("corpus/tokenizer/tokenizer.json", lambda run: run.text(60)),
    ],
)
def test_damaged_results_are_refused(copied, file, ask):
    damage(copied / file)
    with pytest.raises(HeadwaterError, match=r"as it was written|is damaged|bytes"):
        ask(headwater.open(copied))


def test_a_result_without_its_record_is_refused(copied):
    (copied / "influence/.induction.zarr.seal").unlink()
    with pytest.raises(HeadwaterError, match="no record of its content"):
        headwater.open(copied).scores()


def test_a_result_of_another_config_is_refused(made, copied):
    config = made.restamped(lambda config: config["influence"].update(damping=3.0))
    stamp = identity("influence", config, ["other"], target="other")
    store = copied / "influence/other.zarr"
    scores = np.zeros(COUNT, np.float32)
    write_scores(store, 0, scores, scores, stamp, point_factors=[1.0])
    seals.write(store, {}, "influence/x")
    run = headwater.open(copied)
    with pytest.raises(HeadwaterError, match=r"config: influence\.damping is 3"):
        run.scores("other")
    assert len(run.scores("induction")) == COUNT


def test_rows_replaced_under_the_scores_are_refused(copied):
    other = SmallRun(copied.parent / "other", seed=1)
    for name in ("0000.zarr", ".0000.zarr.seal"):
        source, target = other.folder / "corpus" / name, copied / "corpus" / name
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    with pytest.raises(HeadwaterError, match="made from another"):
        headwater.open(copied).scores()


@pytest.mark.parametrize("text", ["[]", "{}", '{"identity": 3}', "\0", "[" * 10_000])
def test_a_window_of_strangers_is_refused_in_one_line(copied, text):
    path = copied / "heads/window.json"
    path.write_text(text)
    seals.write(path, {}, "heads/x")
    with pytest.raises(HeadwaterError) as error:
        headwater.open(copied).scores()
    assert "\n" not in str(error.value)


def test_another_version_is_named(copied):
    path = copied / "heads/window.json"
    found = json.loads(path.read_text())
    found["identity"]["format"] = 5
    path.write_text(json.dumps(found))
    seals.write(path, {}, "heads/x")
    with pytest.raises(HeadwaterError, match="format version 5, this Headwater reads"):
        headwater.open(copied).scores()


def test_a_run_stays_open_when_the_working_directory_changes(made, monkeypatch):
    monkeypatch.chdir(made.folder.parent.parent)
    run = headwater.open("results/small")
    before = run.text(7), run.scores()
    monkeypatch.chdir("/")
    assert run.text(7) == before[0]
    pd.testing.assert_frame_equal(run.scores(), before[1])


READ = """
import sys
import headwater
heavy = {"torch", "snakemake", "pandas", "numpy", "zarr", "h5py", "matplotlib"}
print("imported", *sorted(heavy & set(sys.modules)))
run = headwater.open(sys.argv[1])
print("opened", *sorted({"pandas", "zarr", "h5py"} & set(sys.modules)))
run.scores(), run.text(3), run.tokens(30), run.curves(), run.effects(), repr(run)
run.verdicts(), run.specificity(), run.unit("L1H2").curve(), run.arm_rows("remove_top")
print("read", *sorted({"torch", "snakemake", "matplotlib"} & set(sys.modules)))
"""


def test_it_imports_what_is_slow_late_and_torch_never(made, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", READ, str(made.folder)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        cwd=tmp_path,  # no checkout, and no config
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["imported", "opened", "read"]


@pytest.mark.workflow
def test_a_run_of_the_workflow_is_read_whole(smoke_run, monkeypatch):
    monkeypatch.chdir(smoke_run)
    check_whole("results/smoke", "config/smoke.yaml")


def check_whole(results: str, config_file: str) -> None:
    """The library's answers are the files' and the config's own."""
    run, config = headwater.open(results), read_config_file(config_file)
    unsaid = {"evaluation", "metagradient", "report", "study"}
    assert unsaid == config.keys() - run.config.keys()
    for section, found in run.config.items():
        wanted = without_speed(section, config[section])
        assert found == wanted, section
    assert "not yet" not in repr(run)
    for name in config["targets"]:
        path = f"{results}/influence/{name}"
        store = zarr.open_group(f"{path}.zarr", mode="r")
        table = run.scores(name)
        np.testing.assert_array_equal(table["score"], store["scores"][:])
        ranked = pd.read_csv(f"{path}.tsv", sep="\t").set_index("row")
        own = table.set_index("row").loc[ranked.index]
        for column in ("rank", "step", "domain"):
            assert own[column].tolist() == ranked[column].tolist()
        best = int(ranked.index[0])
        parts = run.tokens(best, name)["score"]
        assert parts.sum() == pytest.approx(ranked["score"].iloc[0], rel=0.1)
        assert run.unit(run.targets[name].unit).scores() is not None
    for name, draw in arm_runs(config):
        changed = run.arm_rows(name, draw).query("changed")
        share = config["arms"][name]["fraction"]
        assert len(changed) == round(share * len(run.rows))
    evaluated = Path(results, "evaluation")
    runs = {path.stem for path in evaluated.glob("*/*.tsv")}
    assert set(run.curves()["run"]) == runs
    assert len(run.effects()) == len(runs)
