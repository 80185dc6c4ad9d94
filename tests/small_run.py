"""A small finished run on disk, of results written by the library's own writers.

Nothing was trained: its numbers are random, and mean nothing. It is there at once.
"""

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headwater import seals
from headwater.corpus.encoding import DESCRIPTION_NAME, Encoder
from headwater.corpus.rowstore import RowBlock, RowWriter
from headwater.corpus.tokenizer import save_trained, train
from headwater.corpus.window import Window, WindowRows
from headwater.heads.targets import Target, WindowChoice, write_choice
from headwater.identity import arm_identity, identity, picked_identity
from headwater.influence.files import write_scores, write_tokens
from headwater.influence.ranking import domain_table, ranked_table
from headwater.interventions.arms import arm_rows
from headwater.interventions.files import Match, write_arm, write_match
from headwater.stores import create_group
from headwater.tables import write_table
from test_corpus_support import small_config, some_text

WINDOW = Window(3, 11)
SIZE, WIDTH = 8, 17
ROWS = 12 * SIZE  # of the training order
DOMAINS = ["NA", "prose", "</td><script>\u202e"]
TARGETS = {"induction": "L1H2", "other": "L0H1"}
ARMS: dict[str, dict[str, Any]] = {
    "remove_top": {"action": "remove", "rows": "top", "target": "induction"},
    "insert_random": {"action": "insert", "rows": "random", "draws": 2},
    "repeat_top": {"action": "repeat", "rows": "top", "target": "induction"},
}
PICKED = 6  # rows of the window that an arm picks
KNOWN = 3  # rows whose tokens are known


def run_config(seed: int = 0) -> dict[str, Any]:
    """The whole config of such a run, as Snakemake would have it."""
    config = small_config(seed=seed, training={"steps": 12, "batch_size": SIZE})
    probe = {"probe": "prefix_matching", "head": "auto"}
    return {
        **config,
        "checkpoints": {},
        "model": {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 24,
        },
        "heads": {"sequences": 8},
        "window": {"target": "induction", "checkpoints": 1, "score_at": "start"},
        "curvature": {"rows": 8, "batch_size": 4},
        "gradients": {"mode": "qkvo", "units": ["L0H*"], "shards": 1, "batch_size": 4},
        "influence": {"damping": 0.1},
        "retraining": {"checkpoint_every": 4},
        "evaluation": {},
        "targets": {name: dict(probe) for name in TARGETS},
        "arms": {
            name: {"draws": 1, "fraction": 0.1, **arm} for name, arm in ARMS.items()
        },
    }


class SmallRun:
    """The run, and in memory what its files hold.

    Attributes:
        tokens: [ROWS, WIDTH].
        domain: of every row, an index of DOMAINS.
        scores: of each target, float32 [rows of the window].
        made: rows and weights of each arm's run, by its name.
        parts: of the tokens of the first target's highest rows, by row.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder, self.config = folder, run_config(seed)
        self.random = np.random.default_rng(seed)
        self.scores: dict[str, np.ndarray] = {}
        self.parts: dict[int, np.ndarray] = {}
        self.made: dict[str, Any] = {}
        self._tokenizer()
        self._rows()
        self._choice()
        self.losses = self.random.random(64).astype(np.float32)
        for name in TARGETS:
            self._influence(name)
        self._arms()
        self._evaluation()

    def seal(self, name: str, *made_of: str) -> None:
        paths = [self.folder / name for name in made_of]
        digests = {os.path.relpath(path): seals.read(path).content for path in paths}
        seals.write(self.folder / name, digests, name.replace("/", "-"))

    def _tokenizer(self) -> None:
        path = self.folder / "corpus/tokenizer"
        path.mkdir(parents=True)
        text = some_text(0, 2000) + " déjà vu 漢字"
        tokenizer = train(iter([text]), 300)
        stamp = identity("corpus", self.config, part="tokenizer")
        end = save_trained(path, tokenizer)
        description = {"headwater": stamp, "end_of_document": end, "vocabulary": 300}
        (path / DESCRIPTION_NAME).write_text(json.dumps(description))
        self.seal("corpus/tokenizer")
        self.encoder = Encoder.open(path, self.config)

    def _rows(self) -> None:
        """The same rows in every run, in an order of its seed."""
        ids = [
            self.encoder.encode([f"漢字 {some_text(n, 60)}"])[0] for n in range(ROWS)
        ]
        tokens = np.array([piece.ids[:WIDTH] for piece in ids], np.uint16)
        domain = np.arange(ROWS, dtype=np.uint8) % 3
        cut = np.arange(ROWS) % 5 + 1  # where the second document of a row begins
        lines = np.arange(1, ROWS + 1)
        spans = np.zeros((ROWS, 2, 6), np.int64)
        spans[:, 0] = np.stack([0 * cut, lines, 0 * cut, cut, 0 * cut, domain], 1)
        spans[:, 1] = np.stack(
            [0 * cut + 1, lines, 3 + 0 * cut, 90 + cut, cut, domain], 1
        )
        order = self.random.permutation(ROWS)
        counts = np.full(ROWS, 2)
        whole = RowBlock(tokens, domain, counts, spans.reshape(-1, 6)).take(order)
        self.order, self.tokens, self.domain = order, whole.tokens, whole.domain
        self.spans = whole.spans.reshape(ROWS, 2, 6)
        for number, rows in enumerate((slice(0, 40), slice(40, ROWS))):
            name = f"corpus/{number:04d}.zarr"
            group = create_group(
                self.folder / name,
                identity("corpus", self.config, part="rows", rows=ROWS),
                sources=["00", "b\nc"],
                domains=DOMAINS,
                first_row=rows.start,
                total_rows=ROWS,
            )
            writer = RowWriter(group, WIDTH, np.dtype(np.uint16))
            writer.append(whole.take(np.arange(ROWS)[rows]))
            writer.close()
            self.seal(name)

    def _choice(self) -> None:
        folder = self.folder / "heads"
        (folder / "targets").mkdir(parents=True)
        choice = WindowChoice(WINDOW, "given", [WINDOW.start])
        write_choice(folder / "window.json", choice, identity("window", self.config))
        self.seal("heads/window.json")
        for name, head in TARGETS.items():
            about = "prefix_matching", head, "head", head, "auto", "prefix_matching"
            target = Target(*about, 0.5, WINDOW, {}, True)
            stamp = identity("heads", self.config, [name])
            write_choice(folder / f"targets/{name}.json", target, stamp)
            self.seal(f"heads/targets/{name}.json")
        heads = [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
        lines = [(step, head) for step in (0, 4, 8) for head in heads]
        table = pd.DataFrame(lines, columns=["step", "head"])
        table["prefix_matching"] = self.random.random(len(table))
        write_table(folder / "scores.tsv", table)
        self.seal("heads/scores.tsv")

    def _influence(self, name: str) -> None:
        scores = self.random.normal(size=64).astype(np.float32)
        scores[10] = scores[11]  # which is ranked first is settled by the order
        self.scores[name] = scores
        stamp = identity("influence", self.config, [name], target=name)
        shards = [f"corpus/{number:04d}.zarr" for number in range(2)]
        store = f"influence/{name}.zarr"
        write_scores(
            self.folder / store, 0, scores, self.losses, stamp, point_factors=[1.0]
        )
        self.seal(store, *shards)
        paths = [self.folder / shard for shard in shards]
        window = WindowRows(paths, WINDOW, self.config)
        tables = {
            f"influence/{name}.tsv": ranked_table(scores, self.losses, window),
            f"influence/{name}.domains.tsv": domain_table(scores, window),
        }
        for file, table in tables.items():
            write_table(self.folder / file, table)
            self.seal(file, *shards)
        top = np.argsort(-scores)[:KNOWN] + window.first
        parts = self.random.normal(size=(KNOWN, WIDTH - 1)).astype(np.float32)
        if name == "induction":
            self.parts = dict(zip(top.tolist(), parts, strict=True))
        file = f"influence/{name}.tokens.h5"
        written = np.zeros((KNOWN, 2, 5), np.int64)
        write_tokens(self.folder / file, top, parts, written, stamp)
        self.seal(file)

    def _arms(self) -> None:
        (self.folder / "interventions").mkdir()
        top = np.sort(np.argsort(-self.scores["induction"], kind="stable")[:PICKED])
        for name, arm in self.config["arms"].items():
            for draw in range(arm["draws"]):
                picked = top
                if arm["rows"] == "random":
                    picked = np.sort(self.random.choice(64, PICKED, replace=False))
                made = arm_rows(arm["action"], picked, 64, self.random)
                stamp = arm_identity("interventions", self.config, name, draw)
                file = f"interventions/{name}-seed{draw}.h5"
                write_arm(self.folder / file, made, stamp)
                self.seal(file)
                about = file.replace(".h5", ".match.h5")
                picked_by = picked_identity(self.config, name, draw)
                write_match(self.folder / about, Match(), picked_by)
                self.seal(about)
                self.made[f"{name}-seed{draw}"] = made

    def _evaluation(self) -> None:
        for arm, settings in {"baseline": {"draws": 1}, **self.config["arms"]}.items():
            folder = self.folder / "evaluation" / arm
            folder.mkdir(parents=True)
            for draw in range(settings["draws"]):
                run = arm if arm == "baseline" else f"{arm}-seed{draw}"
                lines = [
                    (step, "prefix_matching", "head", head, self.random.random())
                    for step in (3, 7, 11)
                    for head in TARGETS.values()
                ]
                names = ["step", "metric", "kind", "name", "value"]
                write_table(folder / f"{run}.tsv", pd.DataFrame(lines, columns=names))
            self.seal(f"evaluation/{arm}")
        lines = [(arm, 0, self.random.random()) for arm in ("baseline", *ARMS)]
        effects = pd.DataFrame(lines, columns=["arm", "draw", "area_ratio"])
        claims = pd.DataFrame({"claim": ["a"], "verdict": ["not enough seeds"]})
        (self.folder / "report").mkdir()
        for file, table in {
            "evaluation/effects.tsv": effects,
            "evaluation/specificity.tsv": effects,
            "report/verdicts.tsv": claims,
        }.items():
            write_table(self.folder / file, table)
            self.seal(file)

    def restamped(self, change: Any) -> dict[str, Any]:
        """Its config with a change, for results that do not belong here."""
        config = copy.deepcopy(self.config)
        change(config)
        return config
