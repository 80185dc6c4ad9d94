"""What docs/architecture.md says is enough to add something, added to a copy and run.

Each addition is a toy in the files that the table names, and in no others. One run of
the smoke experiment, with the additions in its config, uses them all.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
import zarr

from clone import jobs, make_clone, run
from headwater.corpus.documents import DocumentReader

pytestmark = [pytest.mark.workflow, pytest.mark.long]

HEADWATER = "scripts/headwater"


@dataclass
class Addition:
    """Files to add, and lines to put before a line of others."""

    new: dict[str, str]
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)

    def apply(self, clone: Path) -> set[str]:
        """Make the addition; the files that it touched."""
        for name, text in self.new.items():
            assert not (clone / name).exists()
            (clone / name).write_text(text)
        for name, (before, lines) in self.edits.items():
            text = (clone / name).read_text()
            assert text.count(before) == 1, (name, before)
            (clone / name).write_text(text.replace(before, lines + before))
        return {*self.new, *self.edits}


PROBE = Addition(
    new={
        f"{HEADWATER}/probes/current_token.py": '''"""The current-token probe."""

from torch import Tensor

from headwater.geometry import Head
from headwater.models.sites import Model, attention_patterns
from headwater.probes.registry import ProbeData, probe


@probe(tracks="previous_token")
def current_token(model: Model, head: Head, data: ProbeData) -> Tensor:
    """Mean attention of `head` to its own position."""
    pattern = attention_patterns(model, data.tokens)[head.layer][:, head.index]
    return pattern.diagonal(offset=0, dim1=1, dim2=2).mean(dim=1)
'''
    },
    edits={
        f"{HEADWATER}/report/words.py": (
            '    "dataset": "log-probability of the wanted',
            '    "current_token": "attention to the current token itself (0 to 1)",\n',
        )
    },
)

KIND = Addition(
    new={},
    edits={
        f"{HEADWATER}/interventions/kinds.py": (
            '    "random": Kind(\n',
            """    "middle": Kind(
        lambda facts, count, _: np.sort(facts.ranking()[200:][:count]),
        "judged",
        drawn=False,
        label="the middle {share} of rows",
        noun="middle rows",
        colours={"remove": "#444444", "insert": "#555555", "repeat": "#666666"},
        width=2.0,
        dashes="solid",
    ),
""",
        )
    },
)

SOURCE = Addition(
    new={
        f"{HEADWATER}/corpus/sources/lines.py": '''"""Plain text, a document a line."""

import json
from pathlib import Path

from headwater.corpus.files import TEXT_NAME
from headwater.corpus.sources.base import Piece, Source
from headwater.problems import Problem


class Lines(Source):
    """`corpus.lines`: a list of files."""

    key = "lines"

    def gives_rows(self, section):
        """It is text."""
        return False

    def files(self, section, base):
        """By name."""
        return {Path(name).stem: Piece((name,), name) for name in section[self.key]}

    def problems(self, section, where, base):
        """Files that are missing."""
        return [
            Problem((*where, self.key, number), f'"{name}": no such file')
            for number, name in enumerate(section[self.key])
            if not (base / name).is_file()
        ]

    def fetch(self, target, name, origin, needs):
        """Into the Pile's format."""
        from headwater.corpus.documents import zstd
        from headwater.publish import publish_folder

        with publish_folder(target, {"part": "lines", "file": origin}) as folder:
            texts = Path(origin).read_text(encoding="utf-8").splitlines()
            meta = {"pile_set_name": "lines"}
            lines = [json.dumps({"text": text, "meta": meta}) for text in texts]
            data = "\\n".join(lines).encode() + b"\\n"
            (folder / TEXT_NAME).write_bytes(zstd.compress(data))


SOURCE = Lines()
'''
    },
    edits={
        "workflow/schemas/config.schema.yaml": (
            "      - required: [dataset]\n      - required: [pythia]\n",
            "      - required: [lines]\n",
        )
    },
)
SCHEMA_KEY = (  # the other place of the same branch
    "      shards:\n        description: >-\n          Text in the Pile's format",
    "      lines:\n        description: Files of plain text, a document a line.\n"
    "        type: array\n        items:\n          description: A file.\n"
    "          type: string\n",
)

SCHEMA = Addition({}, {"workflow/schemas/config.schema.yaml": SCHEMA_KEY})

ARCHITECTURE = Addition(
    new={
        f"{HEADWATER}/models/starcoder2.py": '''"""StarCoder2: Llama with biases."""

from headwater.models.base import Architecture, Found, Shape


def _settings(section: Found) -> dict[str, object]:
    return {"num_key_value_heads": section["num_key_value_heads"]}


def _vectors(shape: Shape) -> int:
    biases = shape.queries + 2 * shape.keys + shape.wide + 2 * shape.hidden
    return biases + 4 * shape.hidden


ARCHITECTURES = (
    Architecture(
        model_type="starcoder2",
        label="StarCoder2",
        prefix="Starcoder2",
        layers="layers",
        attention="self_attn",
        reads=("q_proj", "k_proj", "v_proj"),
        writes="o_proj",
        mlp_reads=("c_fc",),
        mlp_writes="c_proj",
        final_norm="norm",
        dropouts=("attention_dropout", "residual_dropout"),
        keys=("num_key_value_heads",),
        settings=_settings,
        vectors=_vectors,
        norm=2,
    ),
)
'''
    },
    edits={
        "workflow/schemas/config.schema.yaml": (
            "gpt2, llama, mistral, olmo2",
            "starcoder2, ",
        )
    },
)

UNIT = Addition(
    new={
        f"{HEADWATER}/units/output.py": '''"""`L1O0`: the output map of a head."""

from headwater.units.base import ATTENTION, Block, Sort


def _blocks(place, sizes, mode):
    inputs = sizes.outputs(place.number)
    yield Block(place.label, "o", place.layer, ATTENTION, True, inputs, sizes.hidden)


SORT = Sort(
    word="output map",
    form="L{}O{}",
    count=lambda sizes: sizes.heads,
    heads=lambda place, sizes: [],
    blocks=_blocks,
)
'''
    },
)

FIGURE = Addition(
    new={
        "scripts/plot_spread.py": '''"""The figure of how the scores are spread."""

from pathlib import Path

from headwater import job
from headwater.report import spread, style
from headwater.report.tables import read_tables


def main(snakemake):
    with job.start(snakemake), style.applied():
        figure = spread.draw(read_tables(map(Path, snakemake.input)))
        outputs = snakemake.output
        style.save_figure(figure, Path(outputs.png), Path(outputs.svg))


main(snakemake)  # noqa: F821
''',
        f"{HEADWATER}/report/spread.py": '''"""How the scores are spread."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure


def draw(ranked: Mapping[str, pd.DataFrame]) -> Figure:
    """A histogram of every target's scores."""
    figure = Figure()
    axes = figure.subplots()
    axes.hist([table["score"] for table in ranked.values()], label=list(ranked))
    return figure
''',
    },
    edits={
        "rules/report.smk": (
            "\n\nrule plot_enrichment:\n",
            """

PAGES["spread.png"] = "how the scores are spread"


rule plot_spread:
    input:
        expand("<results>/influence/{target}.tsv", target=TARGETS),
    output:
        png="<results>/report/spread.png",
        svg="<results>/report/spread.svg",
    log:
        "<logs>/report/plot_spread.log",
    localrule: True
    conda:
        "../envs/headwater.yaml"
    params:
        code=digest("plot_spread"),
    script:
        "../scripts/plot_spread.py"
""",
        )
    },
)

RULE = Addition(
    new={
        "scripts/count_scores.py": '''"""How many rows were scored for a target."""

from pathlib import Path

from headwater import job
from headwater.influence.files import read_scores
from headwater.publish import write_text


def main(snakemake):
    with job.start(snakemake) as config:
        scores = read_scores([Path(snakemake.input[0])], config)
        write_text(Path(snakemake.output[0]), f"{len(scores)}\\n")


main(snakemake)  # noqa: F821
'''
    },
    edits={
        "rules/influence.smk": (
            "\n\nrule score_tokens:\n",
            """

rule count_scores:
    input:
        "<results>/influence/{target}.zarr",
    output:
        "<results>/influence/{target}.count.txt",
    log:
        "<logs>/influence/count_scores-{target}.log",
    localrule: True
    conda:
        "../envs/headwater.yaml"
    params:
        code=digest("count_scores"),
    script:
        "../scripts/count_scores.py"
""",
        )
    },
)

ADDITIONS = {
    "probe": PROBE,
    "kind": KIND,
    "architecture": ARCHITECTURE,
    "unit": UNIT,
    "source": SOURCE,
    "figure": FIGURE,
}
FILES = {
    "probe": 2,
    "kind": 1,
    "architecture": 2,
    "unit": 1,
    "source": 2,
    "figure": 3,
    "rule": 2,
}


def git(clone: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
    done = subprocess.run(
        command, cwd=clone, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def enlarged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A copy with all additions, and how many files each of them touched."""
    clone = make_clone(tmp_path_factory.mktemp("enlarged"))
    git(clone, "init", "--quiet")
    counts = {}
    for name, addition in {**ADDITIONS, "rule": RULE}.items():
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--allow-empty", "-m", name)
        touched = addition.apply(clone)
        if name == "source":
            SCHEMA.apply(clone)
        changed = git(clone, "status", "--porcelain", "--untracked-files=all")
        assert {line[3:] for line in changed.splitlines()} == touched
        counts[name] = len(touched)
    return clone, counts


def config_of(clone: Path) -> str:
    """The smoke experiment with the additions in it."""
    config = yaml.safe_load((clone / "config/smoke.yaml").read_text())
    shard = clone / "resources/corpus/00.jsonl.zst"
    texts = [document.text for document in DocumentReader(shard, "fail")]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    (clone / "mine.txt").write_text("\n".join(lines[:4000]) + "\n")
    config["experiment"] = "toy"
    config["corpus"]["lines"] = ["mine.txt"]
    del config["corpus"]["shards"]
    config["model"] |= {"architecture": "starcoder2", "num_key_value_heads": 1}
    config["targets"]["own"] = {"probe": "current_token", "head": "auto"}
    config["targets"]["output"] = {"probe": "induction", "unit": "L0O0+L1O0"}
    config["gradients"]["units"] = ["L*H*", "L*O*", "L0O0+L1O0"]
    top = config["arms"]["remove_top"]
    config["arms"] = {"middle": {**top, "rows": "middle", "target": "own"}}
    (clone / "config/toy.yaml").write_text(yaml.safe_dump(config))
    return "config/toy.yaml"


@pytest.fixture(scope="module")
def toy(enlarged: tuple[Path, dict[str, int]]) -> Path:
    """The copy, after the toy experiment."""
    clone, _ = enlarged
    config = config_of(clone)
    wanted = ("all", "results/toy/influence/own.count.txt")
    result = run(clone, *wanted, config=config)
    assert result.returncode == 0, result.stdout[-4000:]
    (clone / "toy.txt").write_text(result.stdout)
    return clone / "results/toy"


def test_an_addition_touches_the_files_of_the_table(
    enlarged: tuple[Path, dict[str, int]],
) -> None:
    clone, counts = enlarged
    assert counts == FILES
    table = (clone / "docs/architecture.md").read_text()
    rooms = ("probes", "models", "sources", "units")
    named = [f"{room}/<name>.py" for room in rooms]
    assert all(name in table for name in (*named, "kinds.py", "plot_<name>.py"))


def test_a_probe_gets_scores(toy: Path) -> None:
    assert (toy / "gradients/start/own.h5").is_file()
    ranked = pd.read_csv(toy / "influence/own.tsv", sep="\t")
    assert ranked["score"].std() > 0


def test_an_architecture_is_trained_and_scored(toy: Path) -> None:
    config = json.loads((toy / "checkpoints/step48/config.json").read_text())
    assert (config["model_type"], config["num_key_value_heads"]) == ("starcoder2", 1)
    assert (toy / "curvature/start.h5").is_file()


def test_a_sort_of_unit_is_stored_and_scored(toy: Path) -> None:
    store = zarr.open_group(toy / "gradients/start/0000.zarr", mode="r")
    assert {"L1H1", "L0O1", "L1O0", "L0O0+L1O0"} <= set(store.attrs["units"])
    ranked = pd.read_csv(toy / "influence/output.tsv", sep="\t")
    assert ranked["score"].std() > 0
    page = (toy / "report/index.html").read_text()
    assert "output (L0O0+L1O0)" in page


def test_a_kind_picks_its_rows_and_is_worded(toy: Path) -> None:
    scores = np.asarray(zarr.open_group(toy / "influence/own.zarr", mode="r")["scores"])
    count = round(0.1 * len(scores))
    middle = np.argsort(-scores, kind="stable")[200:][:count]
    with h5py.File(toy / "interventions/middle-seed0.h5") as arm:
        assert arm["picked"][...].tolist() == sorted(middle.tolist())
        assert (arm["weights"][...] == 0).sum() == count
    assert (toy / "retraining/middle-seed0/step48").is_dir()
    svg = (toy / "report/emergence.svg").read_text()
    assert "#444444" in svg


def test_a_source_is_fetched_and_trained_on(toy: Path) -> None:
    rows = zarr.open_group(toy / "corpus/0000.zarr", mode="r")
    assert rows.attrs["sources"] == ["mine", "records"]
    assert rows.attrs["domains"] == ["lines", "records"]


def test_a_figure_is_drawn_told_and_counted(toy: Path) -> None:
    clone = toy.parent.parent
    assert (toy / "report/spread.png").read_bytes().startswith(b"\x89PNG")
    assert "how the scores are spread" in (toy / "report/summary.md").read_text()
    assert "plot_spread" in run(clone, "plan", config="config/toy.yaml").stdout or (
        "plot_spread" in (toy / "plan.tsv").read_text()
    )
    command = [sys.executable, "scripts/status.py", "--configfile", "config/toy.yaml"]
    done = subprocess.run(
        command, cwd=clone, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("report"))
    assert line.split()[1] == "6/6"


def test_a_rule_runs_and_has_its_jobs_counted(toy: Path) -> None:
    scores = zarr.open_group(toy / "influence/own.zarr", mode="r")["scores"]
    assert int((toy / "influence/own.count.txt").read_text()) == scores.shape[0]
    assert jobs((toy.parent.parent / "toy.txt").read_text())["count_scores"] == 1
    planned = run(toy.parent.parent, "plan", config="config/toy.yaml")
    assert planned.returncode == 0, planned.stdout[-4000:]
    assert "\tcount_scores\t4\t" in (toy / "plan.tsv").read_text()
