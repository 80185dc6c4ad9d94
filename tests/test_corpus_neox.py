"""Pythia's real tokenizer and row length: tokenising, decoding, rows as text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from tokenizers import Tokenizer

from headwater.corpus.encoding import Encoder, count_ids, split_points
from headwater.corpus.packing import pack_source
from headwater.corpus.rows import Rows
from headwater.corpus.tokenizer import make_tokenizer
from headwater.errors import HeadwaterError
from headwater.heads.sequences import CHOOSING, draw_sequences
from headwater.identity import FORMAT
from megatron_writer import write_dataset
from neox_tokenizer import VOCABULARY, hub_folder, neox_folder, neox_tokenizer
from test_corpus_support import (
    line,
    run_script,
    small_config,
    some_text,
    token_config,
    write_shard,
)
from test_corpus_tokenrows import refusal

WIDTH, STEPS, BATCH = 2049, 2, 2

TEXTS = {
    "prose": "The river rose in the night, and by morning it had reached the road. ",
    "latex": r"\begin{equation} \frac{\partial u}{\partial t} = \alpha \end{equation} ",
    "code": "def area(width, height):\n    return width * height\n\n\n",
    "markup": '<item id="7"><name>Bolt</name><price>0.10</price></item>\n',
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return neox_tokenizer()


def test_known_tokens(tokenizer: Tokenizer) -> None:
    # From the model cards' examples and GPT-NeoX's published vocabulary.
    assert tokenizer.encode("Hello world").ids == [12092, 1533]
    assert tokenizer.id_to_token(0) == "<|endoftext|>"
    assert tokenizer.encode(" " * 24).ids == [50254]
    assert count_ids(tokenizer) == VOCABULARY


def test_encoding_and_decoding_lose_nothing(tokenizer: Tokenizer) -> None:
    encoder = Encoder(tokenizer, 0)
    for text in (*TEXTS.values(), some_text(3, 400).replace("e\u0301", "é")):
        ids = encoder.encode([text])[0].ids
        assert encoder.decode(ids) == text
        assert encoder.decode_many([ids, ids[:3]])[0] == text


def test_many_are_decoded_as_one_is(tokenizer: Tokenizer) -> None:
    encoder = Encoder(tokenizer, 0)
    draw = np.random.default_rng(0)  # random ids are cut and broken UTF-8, mostly
    parts = [draw.integers(0, VOCABULARY, 400) for _ in range(50)]
    parts += [np.array([token]) for token in range(0, VOCABULARY, 7)]
    parts.append(np.arange(50_250, VOCABULARY))
    assert encoder.decode_many(parts) == [encoder.decode(part) for part in parts]


def test_pieces_have_the_tokens_of_the_whole(tokenizer: Tokenizer) -> None:
    encoder = Encoder(tokenizer, 0)
    text = "".join(part * 60 for part in TEXTS.values())
    pieces = [text[start:stop] for start, stop in split_points(text)]
    assert len(pieces) > 3
    apart = np.concatenate([piece.ids for piece in encoder.encode(pieces)])
    assert apart.tolist() == encoder.encode([text])[0].ids.tolist()


def test_text_packs_into_rows_of_2049(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = [part * 200 for part in TEXTS.values()]
    shard = write_shard(tmp_path / "a.jsonl.zst", [line(text) for text in texts])
    config = small_config(corpus__seq_len=WIDTH - 1, corpus__held_out={"fraction": 0.0})
    stamp = {"stage": "corpus", "format": FORMAT, "settings": {}}
    pack_source(tmp_path / "a.zarr", "a", shard, Encoder(tokenizer, 0), config, stamp)
    rows = np.asarray(zarr.open_group(tmp_path / "a.zarr", mode="r")["train/tokens"])
    stream: list[int] = []
    for text in texts:
        stream += [*tokenizer.encode(text, add_special_tokens=False).ids, 0]
    assert rows.dtype == np.uint16
    assert rows.reshape(-1).tolist() == stream[: rows.size]
    assert len(stream) - rows.size < WIDTH


def pythia_rows(tokenizer: Tokenizer) -> list[list[int]]:
    """Six rows of 2,049 tokens: documents, each with its end, cut anywhere."""
    stream: list[int] = []
    for number in range(40):
        for text in TEXTS.values():
            stream += [*tokenizer.encode(text * (2 + number % 9)).ids, 0]
    return [stream[WIDTH * i : WIDTH * (i + 1)] for i in range(6)]


@pytest.fixture
def experiment(tmp_path: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Stores of pre-shuffled rows with Pythia's layout."""
    data = write_dataset(tmp_path / "pile", pythia_rows(tokenizer))
    config = token_config(
        WIDTH,
        STEPS,
        BATCH,
        pythia={"path": str(data)},
        held_out={"rows": 2},
        row_shards=1,
    )
    config["heads"] = {"length": 16, "min_period": 4, "max_period": 6}
    folder = neox_folder(tmp_path / "tokenizer", config)
    inputs = {"source": [data], "tokenizer": folder}
    store, log = tmp_path / "0000.zarr", tmp_path / "log"
    run_script("order_rows", config, inputs, {"store": store}, log, shard="0000")
    inputs = {"source": [data], "rows": [store], "packed": [], "tokenizer": folder}
    outputs = {"held_out": tmp_path / "held.zarr", "summary": tmp_path / "summary.json"}
    run_script("hold_out", config, inputs, outputs, log)
    return config


def test_rows_are_shown_as_text(
    tmp_path: Path, tokenizer: Tokenizer, experiment: dict[str, Any]
) -> None:
    rows, wanted = Rows([tmp_path / "0000.zarr"], experiment), pythia_rows(tokenizer)
    assert rows.tokens(0, 4).tolist() == wanted[:4]
    text = tokenizer.decode(wanted[1], skip_special_tokens=False)
    spans = rows.spans(1)
    parts = np.split(rows.tokens(1, 2)[0], [span.token for span in spans[1:]])
    texts = [tokenizer.decode(p.tolist(), skip_special_tokens=False) for p in parts]
    assert "".join(texts) == text
    assert all("<|endoftext|>" not in part[:-13] for part in texts)
    assert texts[1].startswith(tuple(TEXTS.values()))
    assert spans[1].place.startswith("document.bin, row 1, characters ")
    kinds = {span.domain for span in spans}
    assert kinds == {f"{kind} (detected)" for kind in TEXTS}


def test_padding_ids_are_never_sampled(
    tmp_path: Path, tokenizer: Tokenizer, experiment: dict[str, Any]
) -> None:
    stores = tmp_path / "held.zarr", tmp_path / "tokenizer"
    sequences = draw_sequences(CHOOSING, 600, *stores, experiment).tokens
    drawn = set(sequences.flatten().tolist())
    assert max(drawn) < VOCABULARY
    assert not drawn & {0, 1}  # the end of a document, and `<|padding|>`
    assert drawn == set(np.ravel(pythia_rows(tokenizer)[:4])) - {0}


@pytest.mark.parametrize("padding", [50_277, 50_303])
def test_padding_ids_in_rows_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, padding: int
) -> None:
    sequences = pythia_rows(tokenizer)
    sequences[2][7] = padding
    data = write_dataset(tmp_path / "pile", sequences)
    config = token_config(
        WIDTH, STEPS, BATCH, pythia={"path": str(data)}, held_out={"rows": 2}
    )
    folder = neox_folder(tmp_path / "tokenizer", config)
    inputs, outputs = {"source": [data], "tokenizer": folder}, {"store": tmp_path / "s"}
    found = refusal(tmp_path, "order_rows", config, inputs, outputs, shard="0001")
    assert f"row 2 holds token id {padding:,} at position 7" in found
    assert "ids 0 to 50,276" in found


@pytest.mark.parametrize("model_vocabulary", [50_304, 50_276])
def test_tokenizer_of_a_folder_is_fetched_and_fits(
    tmp_path: Path, model_vocabulary: int
) -> None:
    name = str(hub_folder(tmp_path / "pythia"))
    settings = {"name": name, "revision": "main"}
    stamp = {"stage": "corpus", "format": FORMAT, "settings": {}}
    arguments = (tmp_path / "out", settings, [], "fail", model_vocabulary, stamp)
    if model_vocabulary < VOCABULARY:
        with pytest.raises(HeadwaterError, match=r"has 50,277 token ids, but model"):
            make_tokenizer(*arguments)
        return
    make_tokenizer(*arguments)
    encoder = Encoder.open(tmp_path / "out", {})
    assert encoder.vocabulary == VOCABULARY
    assert encoder.end_of_document == 0
    assert encoder.special_ids == [0, 1]
    text = TEXTS["latex"] + TEXTS["code"]
    assert encoder.encode([text])[0].ids.tolist() == neox_tokenizer().encode(text).ids
