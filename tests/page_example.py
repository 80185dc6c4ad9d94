"""A small run on disk, as the page reads it: for the tests of the page."""

import json
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from headwater.config.schema import fill_defaults
from headwater.corpus.encoding import Encoder
from headwater.corpus.window import WindowRows
from headwater.influence.files import TokenTable
from headwater.influence.shown import shown_rows
from headwater.report.page.inputs import Inputs, Ranking, Tests
from headwater.report.page.values import unpacked
from test_report_example import CLEAR, Example, Shapes, example

LENGTH, BATCH = 24, 8
END = "<|endoftext|>"


def bytewise() -> Encoder:
    """A tokenizer of which every byte is a token, and one that ends documents."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    return Encoder(tokenizer, tokenizer.token_to_id(END))


@dataclass
class FakeRows:
    """Rows in memory, with the methods of `Rows` that the page asks for."""

    all: np.ndarray
    domain: np.ndarray
    table: np.ndarray
    begins: np.ndarray
    sources: list[str]
    domain_names: list[str]

    @property
    def width(self) -> int:
        return self.all.shape[1]

    def __len__(self) -> int:
        return len(self.all)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.all[rows]

    def domains(self, start: int, stop: int) -> np.ndarray:
        return self.domain[start:stop]

    def span_table(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        begins = self.begins[start : stop + 1]
        return self.table[begins[0] : begins[-1]].copy(), begins - begins[0]

    def file_of(self, source: str) -> str:
        return f"{source}.jsonl.zst"

    def spans(self, row: int) -> list[Any]:
        lines = self.table[self.begins[row] : self.begins[row + 1]]
        return [
            SimpleNamespace(
                place=f"{self.sources[line[0]]}, line {line[1]}",
                source=self.sources[line[0]],
                line=int(line[1]),
            )
            for line in lines
        ]


def fake_rows(
    texts: list[str], encoder: Encoder, domains: list[str], width: int, seed: int = 0
) -> FakeRows:
    """Rows of these texts, each of one or two documents."""
    generator = np.random.default_rng(seed)
    tokens = np.full((len(texts), width), encoder.tokenizer.token_to_id("Ġ"))
    for row, text in enumerate(texts):
        ids = encoder.tokenizer.encode(text, add_special_tokens=False).ids[:width]
        tokens[row, : len(ids)] = ids
    table, begins = [], [0]
    domain = generator.integers(0, len(domains), len(texts))
    for row in range(len(texts)):
        line = 1 + row // 4
        table.append([row % 2, line, 0, 40, 0, domain[row]])
        if row % 3 == 0:
            table.append([1, 900 + row, 5, 25, width // 2, domain[row]])
        begins.append(len(table))
    return FakeRows(
        tokens, domain, np.array(table), np.array(begins), ["00", "01"], domains
    )


def window_of(rows: FakeRows, start: int, end: int, batch: int = BATCH) -> WindowRows:
    """The rows of steps [start, end), of rows in memory."""
    window = object.__new__(WindowRows)
    window.batch_size, window.start = batch, start
    window.first, window.count = start * batch, (end - start) * batch
    window.rows = rows  # type: ignore[assignment]
    return window


def run_of(
    shapes: Shapes | None = CLEAR,
    targets: int = 2,
    rows: int | str = 20,
    steps: int = 20,
    length: int = LENGTH,
    texts: list[str] | None = None,
    domains: list[str] | None = None,
    scores: np.ndarray | None = None,
    experiment: str = "laptop",
    encoder: Encoder | None = None,
    batch: int = BATCH,
) -> Inputs:
    """A run of the example's arms, or of none.

    Args:
        shapes: as of `example`; None for a run without arms.
        steps: of the window, of `batch` rows each.
        texts: of the rows from step 0 on, over and over.
        encoder: of a token for every byte at least; `bytewise` if not given.
    """
    data: Example = example(shapes or CLEAR)
    names = list(data.choice.targets)[:targets]
    domains = domains or ["code", "html", "latex", "prose", "xml", "records"]
    count = (1 + steps) * batch
    texts = texts or [f"row {n} says ab{n % 7} ab{n % 7} ü" for n in range(count)]
    encoder = encoder or bytewise()
    held = fake_rows(
        [texts[n % len(texts)] for n in range(count)], encoder, domains, length + 1
    )
    window = window_of(held, 1, 1 + steps, batch)
    config = config_of(data, names, rows, experiment, shapes is not None)
    generator = np.random.default_rng(3)
    rankings = []
    for number, name in enumerate(names):
        own = scores if scores is not None else generator.normal(size=len(window))
        own = np.asarray(own, np.float32)
        shown = shown_rows(own, name, config)
        parts = generator.normal(size=(len(shown.kept), length)).astype(np.float32)
        written = generator.integers(0, 250, (len(shown.kept), 2, 5))
        table = TokenTable(shown.kept + window.first, parts, written)
        target = data.choice.targets[name]
        tables = data.domains[name]
        rankings.append(Ranking(name, target, own, shown, table, tables))
        scores = None if number == 0 else scores
    sample = np.arange(0, len(window), 3)
    exact = {
        one.name: one.scores[sample] + 0.01 * generator.normal(size=len(sample))
        for one in rankings
    }
    return Inputs(
        config=config,
        choice=replace(data.choice, targets={n: data.choice.targets[n] for n in names}),
        points=[data.choice.window.start],
        window=window,
        encoder=encoder,
        rankings=rankings,
        losses=generator.uniform(10, 90, len(window)).astype(np.float32),
        heads=data.scores,
        fidelity=data.fidelity[data.fidelity["target"].isin(names)],
        sample=pd.concat(
            pd.DataFrame(
                {
                    "target": one.name,
                    "row": sample + window.first,
                    "stored": one.scores[sample],
                    "exact": exact[one.name],
                }
            )
            for one in rankings
        ),
        published=[],
        results=Path("results/none"),
        tests=None if shapes is None else tests_of(data),
    )


def tests_of(data: Example) -> Tests:
    """What the example's arms showed."""
    return Tests(
        data.arms,
        data.runs,
        data.effects,
        data.summary,
        data.specificity,
        data.verdicts,
    )


def config_of(
    data: Example, names: list[str], rows: int | str, experiment: str, arms: bool
) -> dict[str, Any]:
    """A whole config, of what the page reads of one."""
    sections = ("heads", "gradients", "curvature", "influence", "evaluation")
    given: dict[str, Any] = {
        "experiment": experiment,
        "seed": 0,
        "corpus": {"shards": ["resources/corpus"], "seq_len": LENGTH},
        "model": {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
        },
        "training": {"steps": 2400, "batch_size": BATCH, "learning_rate": 0.003},
        "targets": {name: {"probe": data.choice.targets[name].probe} for name in names},
        "window": {"target": "induction"},
        "arms": data.arms if arms else {},
        "report": {"rows": rows},
        "study": {},
        **{name: {} for name in sections},
    }
    config: dict[str, Any] = fill_defaults(given)
    config["corpus"]["records"]["fraction"] = 0.1
    return config


def columns_of(page: str) -> dict[str, np.ndarray]:
    """The columns of a page, decoded."""

    class Read(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: dict[str, np.ndarray] = {}
            self.attributes: dict[str, str | None] = {}

        def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
            self.attributes = dict(attrs) if tag == "script" else {}

        def handle_endtag(self, tag: str) -> None:
            self.attributes = {}

        def handle_data(self, data: str) -> None:
            if "data-type" in self.attributes:
                name = str(self.attributes["id"]).removeprefix("col-")
                kind, shape = (
                    str(self.attributes[k]) for k in ("data-type", "data-shape")
                )
                self.found[name] = unpacked(kind, shape, data.strip())

    read = Read()
    read.feed(page)
    return read.found


def report_of(page: str) -> dict[str, Any]:
    """The numbers of a page."""
    begin = '<script type="application/json" id="report">'
    text = page[page.index(begin) + len(begin) :]
    found: dict[str, Any] = json.loads(text[: text.index("</script>")])
    return found
