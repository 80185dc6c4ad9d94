"""What SLURM would refuse, told before the first job."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from fake_slurm import DOWN, FakeSlurm, install
from headwater.checkpoints.needs import interval_minutes, training_minutes
from headwater.cluster import preflight
from headwater.cluster.folder import folder_problem
from headwater.cluster.partitions import (
    gres_count,
    minutes_of,
    misfits,
    read_partitions,
)
from headwater.cluster.profile import profile_file, profile_problems
from headwater.cluster.requests import Request, limit_growth
from headwater.errors import HeadwaterError
from headwater.plan.dag import rule_names

REPOSITORY = Path(__file__).resolve().parent.parent
ACCOUNTS = ["lab", "physics"]
WANTS = {"slurm_partition": "cpu", "slurm_account": "lab", "mem_mb": 500, "runtime": 5}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return install(tmp_path, monkeypatch)


def request(**more: Any) -> Request:
    wants = {**WANTS, "_cores": 1, **more}
    return Request(("score_rows",), ("sbatch", "--test-only", "--wrap=true"), wants)


def test_what_fits_is_left_alone(slurm: FakeSlurm) -> None:
    assert preflight.misfits_of(request(), read_partitions(), ACCOUNTS) == []
    assert slurm.calls("sbatch") == ["--test-only --wrap=true"]


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"slurm_partition": "cpuu"}, "slurm_partition", 'did you mean "cpu"?'),
        ({"slurm_partition": "x"}, "slurm_partition", "there are: cpu, gpu, nogpu"),
        (
            {"slurm_partition": "nogpu", "gpu": 1},
            "slurm_partition",
            'partition "nogpu" has no GPUs; these have: cpu, gpu',
        ),
        ({"slurm_partition": "nogpu", "gres": "gpu:1"}, "slurm_partition", "no GPUs"),
        ({"slurm_partition": "gpu", "gpu": 5}, "gpu", "5 GPUs, but a node of"),
        ({"gpu": 1, "gpu_model": "h100"}, "gpu_model", "there are: gpu:fake:2"),
        ({"gres": "gpu:h100:1"}, "gres", 'has "gpu:h100"; there are: gpu:fake:2'),
        ({"runtime": 1441}, "runtime", "1441 minutes, but partition"),
        ({"slurm_partition": "gpu", "runtime": 121}, "runtime", "allows 120"),
        ({"mem_mb": 64001}, "mem_mb", "the largest node of"),
        ({"_cores": 9}, "threads", "9 CPUs"),
        ({"cpus_per_task": 9}, "cpus_per_task", "9 CPUs"),
        ({"constraint": "fakegpuu"}, "constraint", 'did you mean "fakegpu"?'),
        ({"constraint": "skylake"}, "constraint", "there are: fakegpu"),
    ],
)
def test_what_a_partition_cannot_serve(
    slurm: FakeSlurm, more: dict[str, Any], key: str, words: str
) -> None:
    ((found, text),) = misfits(request(**more).wants, read_partitions())
    assert found == key
    assert words in text


@pytest.mark.parametrize(
    "more",
    [
        {"gpu": 4, "nodes": 2},
        {"gres": "gpu:fake:2"},
        {"slurm_partition": "nogpu", "runtime": 10**6},
        {"constraint": "a100|h100"},
        {"slurm_partition": ""},
    ],
)
def test_what_a_partition_can_serve(slurm: FakeSlurm, more: dict[str, Any]) -> None:
    assert misfits(request(**more).wants, read_partitions()) == []


def test_all_that_does_not_fit_is_told_at_once(slurm: FakeSlurm) -> None:
    wants = request(runtime=1441, mem_mb=64001, slurm_account="labb")
    found = preflight.misfits_of(wants, read_partitions(), ACCOUNTS)
    assert [key for key, _ in found] == ["runtime", "mem_mb", "slurm_account"]


@pytest.mark.parametrize(
    ("said", "key", "words"),
    [
        (
            "allocation failure: Invalid account or account/partition combination "
            "specified",
            "slurm_account",
            '"lab" is refused; yours: lab, physics (Invalid account',
        ),
        ("allocation failure: Invalid qos specification", "qos", "is refused"),
        ("allocation failure: Invalid feature specification", "constraint", "refused"),
        ("sbatch: error: Invalid generic resource (gres) specification", "gres", ""),
        (
            "allocation failure: Requested time limit is invalid (missing or exceeds "
            "some limit)",
            "runtime",
            "5 is refused",
        ),
        ("allocation failure: Memory required by task is not available", "mem_mb", ""),
        ("allocation failure: More processors requested than permitted", "threads", ""),
        (
            "sbatch: error: invalid partition specified: cpu\n"
            "allocation failure: Invalid partition name specified",
            "slurm_partition",
            '"cpu" is refused (Invalid partition name specified)',
        ),
    ],
)
def test_what_sbatch_refuses(slurm: FakeSlurm, said: str, key: str, words: str) -> None:
    slurm.says("sbatch", (said, 1))
    ((found, text),) = preflight.misfits_of(request(), read_partitions(), ACCOUNTS)
    assert found == key
    assert words in text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "Requested node configuration is not available",
            'slurm_partition="cpu", mem_mb=500',
        ),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or "
            "time limits)",
            "limits of yours would keep jobs back now (Job violates",
        ),
    ],
)
def test_what_may_pass_only_warns(slurm: FakeSlurm, said: str, words: str) -> None:
    slurm.says("sbatch", (f"allocation failure: {said}", 1))
    ((key, text),) = preflight.misfits_of(request(), read_partitions(), ACCOUNTS)
    assert key == ""
    assert words in text


def test_an_account_of_others(slurm: FakeSlurm) -> None:
    wants = request(slurm_account="labb")
    ((key, text),) = preflight.misfits_of(wants, read_partitions(), ACCOUNTS)
    assert key == "slurm_account"
    assert text == '"labb" is not an account of yours; did you mean "lab"?'
    assert not slurm.calls("sbatch")


def test_a_qos_that_does_not_exist(slurm: FakeSlurm) -> None:
    """SLURM refuses it only where it enforces the limits of QOS."""
    slurm.says("sacctmgr", "normal\nhigh")
    known = read_partitions()
    ((key, text),) = preflight.misfits_of(request(qos="higg"), known, ACCOUNTS)
    assert key == "qos"
    assert text == 'QOS "higg" does not exist; did you mean "high"?'
    assert preflight.misfits_of(request(qos="high"), known, ACCOUNTS) == []
    assert preflight.misfits_of(request(qos="higg"), known, []) == []


def test_without_accounting_any_account_will_do(slurm: FakeSlurm) -> None:
    slurm.says("sacctmgr", ("You are running a configuration without it", 1))
    accounts = preflight.own("account")
    wants = request(slurm_account="whatever")
    assert preflight.misfits_of(wants, read_partitions(), accounts) == []


def test_a_silent_controller_is_one_line(slurm: FakeSlurm) -> None:
    slurm.says("sinfo", (f"slurm_load_partitions: {DOWN}", 1))
    with pytest.raises(HeadwaterError, match="Run the same command again") as caught:
        read_partitions()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("1-00:00:00", 1440),
        ("2:00:00", 120),
        ("30:00", 30),
        ("infinite", None),
        ("n/a", None),
    ],
)
def test_time_limits(limit: str, minutes: int | None) -> None:
    assert minutes_of(limit) == minutes


@pytest.mark.parametrize(
    ("entry", "count"),
    [("gpu:a100:4(S:0-1)", 4), ("gpu:2", 2), ("gpu", 1), ("gpu:a100", 1), ("mps:9", 0)],
)
def test_gres_entries(entry: str, count: int) -> None:
    assert gres_count(entry, "gpu") == count


# --- the profile


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    given = yaml.safe_load(text)
    return profile_problems(
        str(file),
        rule_names(),
        given.get("default-resources", {}),
        given.get("set-resources", {}),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "default-resourcess: {mem_mb: 1}",
            'default-resourcess: unknown key; did you mean "default-resources"?',
        ),
        (
            "set-resources: {fit_factor: {mem_mb: 1}}",
            'set-resources.fit_factor: no rule "fit_factor"; did you mean',
        ),
        ("default-resources: {slurm_acount: a}", 'did you mean "slurm_account"?'),
        ("set-resources: {fit_factors: {gpus: 1}}", 'did you mean "gpu"?'),
        ("default-resources: {partition: a}", 'did you mean "slurm_partition"?'),
        (
            "set-resources: {fit_factors: {threads: 9}}",
            "set-resources.fit_factors.threads: has no effect here; it is set under "
            "set-threads",
        ),
        (
            "set-resources: {fit_factors: &gpu {gpuu: 1}, score_rows: *gpu}",
            "set-resources.fit_factors.gpuu (also of score_rows): unknown resource",
        ),
    ],
)
def test_misspelt_names(tmp_path: Path, text: str, words: str) -> None:
    (found,) = problems(tmp_path, text)
    assert found.startswith(str(tmp_path / "config.yaml"))
    assert words in found


def test_a_site_may_count_what_it_likes(tmp_path: Path) -> None:
    text = "default-resources: {licences: 1}\nset-resources: {stream_scores: {io: 2}}"
    assert problems(tmp_path, text) == []


def test_the_shipped_profile_has_no_unknown_names(tmp_path: Path) -> None:
    shipped = (REPOSITORY / "profiles/slurm/config.yaml").read_text()
    assert problems(tmp_path, shipped) == []


def test_the_profile_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    assert profile_file(["--profile", "site", "all"]) == "site/config.yaml"
    assert profile_file(["--profile=mine.yaml"]) == "mine.yaml"
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "site")
    assert profile_file(["all"]) == "site/config.yaml"


@pytest.mark.parametrize(
    ("asked", "attempts"),
    [
        (lambda wildcards, attempt: 30 * attempt, [30, 60, 70]),
        ("30 * attempt", [30, 60, 70]),
        (90, [90, 90, 90]),  # told by the preflight, not changed
    ],
)
@pytest.mark.parametrize("name", ["runtime", "mem_mb"])
def test_later_attempts_ask_for_no_more_than_the_partition_has(
    name: str, asked: Any, attempts: list[int]
) -> None:
    from snakemake.resources import Resource, Resources

    if isinstance(asked, str):
        made = Resource.from_cli_expression(name, asked)
    else:
        made = Resource(name, asked)
    rule = SimpleNamespace(resources=Resources({name: made}))
    workflow = SimpleNamespace(get_rule={"fit_factors": rule}.get)
    limit_growth(workflow, "fit_factors", name, 70)
    limit_growth(workflow, "fit_factors", "disk_mb", 70)  # which it does not have
    for attempt, wanted in enumerate(attempts, start=1):
        known = {"attempt": attempt, "threads": 1, "input": [], "rulename": "fit"}
        found = rule.resources[name].evaluate({}, async_run=None, **known)
        assert found.value == wanted


def test_places_in_the_profile() -> None:
    overwritten = {"fit_factors": {"slurm_partition": "gpu"}}
    place = preflight._place
    both = ["fit_factors", "score_tokens"]
    assert (
        place("slurm_account", both, overwritten) == "default-resources.slurm_account"
    )
    assert place("slurm_partition", both[:1], overwritten).startswith(
        "set-resources.fi"
    )
    assert place("mem_mb", both, {}) == (
        "set-resources.fit_factors.mem_mb (also of score_tokens)"
    )
    assert place("threads", both[:1], {}) == "set-threads.fit_factors"


# --- the folder

TMPFS = "/dev/sda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nfs:/x /run/nfs nfs4 rw 0 0\n"


@pytest.mark.parametrize(
    ("folder", "nodes", "seen"),
    [
        ("/run/me", "node1\nnode2", False),
        ("/tmp/me", "node1", False),
        ("/run/nfs/me", "node1", True),
        ("/home/me", "node1", True),  # may be exported: the first job will tell
        ("/tmp/me", "HERE", True),  # a cluster of one machine
    ],
)
def test_folders(
    slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    nodes: str,
    seen: bool,
) -> None:
    here = SimpleNamespace(nodename="login.example.org")
    monkeypatch.setattr("headwater.cluster.folder.os.uname", lambda: here)
    slurm.says("sinfo", nodes.replace("HERE", "login"))
    found = folder_problem(Path(folder), TMPFS)
    assert (found is None) == seen
    if found:
        assert "move the folder to a file system that all nodes mount" in found


# --- training


def test_a_time_limit_below_one_checkpoint_interval() -> None:
    config = {
        "model": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "vocab_size": 50304,
        },
        "corpus": {"seq_len": 2048, "tokenizer": {"name": "x"}},
        "training": {"steps": 2000, "batch_size": 1024, "checkpoint_every": 50},
        "retraining": {"checkpoint_every": 100},
    }
    interval = interval_minutes(config, 100)
    assert interval > 30
    assert training_minutes(config) - 240 == interval_minutes(config, 2000)

    def warning(minutes: int) -> str | None:
        wants = {"runtime": minutes}
        return preflight._too_short(Request(("retrain_arm",), (), wants), config)

    assert "lower retraining.checkpoint_every" in str(warning(interval - 1))
    assert warning(interval) is None


def test_a_warning_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HeadwaterError, match="HEADWATER_PREFLIGHT=warn") as caught:
        preflight._report(["default-resources.qos: a problem"])
    assert "fit_factors" not in str(caught.value)
    with pytest.raises(HeadwaterError, match="HEADWATER_PREFLIGHT=warn") as caught:
        preflight._report(["set-resources.fit_factors.runtime: a problem"])
    assert "make it `fit_factors: {<<: *gpu, runtime: 120}`" in str(caught.value)
    monkeypatch.setenv("HEADWATER_PREFLIGHT", "warn")
    preflight._report(["a problem"])
    assert capsys.readouterr().err == "Headwater: warning: a problem\n"


def test_sinfo_is_read(slurm: FakeSlurm) -> None:
    known = read_partitions()
    assert (known["gpu"].minutes, known["gpu"].gpus) == (120, 2)
    assert (known["nogpu"].mem_mb, known["nogpu"].gpus) == (2000, 0)
    assert known["cpu"].features == {"fakegpu"}
