"""The tokenizer folder: trained or fetched, and refused with a reason."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from headwater.config.files import with_checkpoint
from headwater.corpus import tokenizer as making
from headwater.corpus.encoding import Encoder
from headwater.corpus.files import TOKENIZER_FILES
from headwater.errors import HeadwaterError
from headwater.identity import identity
from test_corpus_support import (
    line,
    pythia_like,
    run_script,
    small_config,
    some_documents,
    some_text,
    write_shard,
)


def make(folder, settings, sources=(), model_vocabulary=None, config=None):
    config = config or small_config()
    stamp = identity("corpus", config)
    making.make_tokenizer(folder, settings, sources, "fail", model_vocabulary, stamp)
    return folder


@pytest.fixture
def shard(tmp_path):
    return write_shard(tmp_path / "a.jsonl.zst", some_documents(40))


def saved(folder, tokenizer, **settings):
    """A folder as Hugging Face publishes them."""
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_training_twice_gives_the_same_bytes(tmp_path, shard):
    folders = [make(tmp_path / name, {"vocab_size": 320}, [shard]) for name in "ab"]
    first, second = ((f / "tokenizer.json").read_bytes() for f in folders)
    assert first == second


def test_trained_tokenizer_loses_nothing(tmp_path, shard):
    folder = make(tmp_path / "t", {"vocab_size": 300}, [shard])
    encoder = Encoder.open(folder, small_config())
    assert encoder.vocabulary == 300
    assert encoder.end_of_document == 0
    assert encoder.special_ids == [0]
    every = "".join(map(chr, [*range(0xD800), 0xFFFD, 0x1F600, 0x10FFFF]))
    assert encoder.decode(encoder.encode([every])[0].ids) == every
    assert encoder.decode(np.array([0])) == "<|endoftext|>"


def test_digits_can_be_split():
    texts = ["call 555 1234 now, 555 1234 at 1234"] * 50
    for split, pieces in ((False, ["Ġ1234"]), (True, ["Ġ", "1", "2", "3", "4"])):
        tokenizer = making.train(iter(texts), 300, split)
        assert tokenizer.encode(" 1234").tokens == pieces
        assert tokenizer.decode(tokenizer.encode(" 1234").ids) == " 1234"


def test_transformers_loads_the_trained_folder(tmp_path, shard):
    folder = make(tmp_path / "t", {"vocab_size": 300}, [shard])
    loaded = PreTrainedTokenizerFast.from_pretrained(folder)
    encoder = Encoder.open(folder, small_config())
    text = some_text(5, 200).replace("<|endoftext|>", "")
    ids = encoder.encode([text])[0].ids.tolist()
    assert loaded(text)["input_ids"] == ids
    assert loaded.decode(ids) == text
    assert loaded.eos_token_id == 0
    assert len(loaded) == 300


def test_fetched_from_a_folder(tmp_path):
    source = saved(tmp_path / "hub", pythia_like(), eos_token="<|endoftext|>")
    folder = make(tmp_path / "t", {"name": str(source), "revision": "main"})
    encoder = Encoder.open(folder, small_config())
    assert encoder.vocabulary == 303
    assert encoder.special_ids == [0]
    text = some_text(2, 300)
    reference = pythia_like()
    reference.encode_special_tokens = True
    assert encoder.encode([text])[0].ids.tolist() == reference.encode(text).ids
    assert PreTrainedTokenizerFast.from_pretrained(folder).eos_token_id == 0


def test_a_local_checkpoint_brings_its_tokenizer(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "models" / "step0"
    folder.parent.mkdir()
    saved(folder, pythia_like(), eos_token="<|endoftext|>")
    config = small_config()
    config["corpus"]["tokenizer"] = {"name": "nobody/nothing", "revision": "main"}
    config["checkpoints"] = {"folder": str(folder.parent), "start": "step0"}
    made, log = tmp_path / "t", tmp_path / "log"
    run_script("fetch_tokenizer", config, {}, {"folder": made}, log)
    assert Encoder.open(made, config).vocabulary == 303
    assert f"tokenizer: {folder}" in log.read_text()


@pytest.mark.parametrize(
    ("name", "checkpoints", "taken"),
    [
        ("a/b", {"folder": "models", "start": "step0"}, "models/step0"),
        ("a/b", {"folder": "models", "revisions": ["step0", "step9"]}, "models/step0"),
        ("own", {"folder": "models", "start": "step0"}, "own"),
        ("a/b", {"folder": "models", "start": "bare"}, "a/b"),
        ("a/b", {"repo": "a/b", "start": "step0"}, "a/b"),
        ("a/b", {}, "a/b"),
    ],
)
def test_which_tokenizer_is_taken(tmp_path, name, checkpoints, taken):
    for folder in ("own", "models/step0", "models/bare"):
        (tmp_path / folder).mkdir(parents=True)
    for file in TOKENIZER_FILES:
        (tmp_path / "models/step0" / file).touch()
    settings = {"name": name, "revision": "main"}
    found = with_checkpoint(settings, checkpoints, tmp_path)
    assert found == {"name": taken, "revision": "main"}
    assert settings["name"] == name


def test_unknown_name_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HeadwaterError) as error:
        make(tmp_path / "t", {"name": "nobody/nothing", "revision": "v1"})
    text = str(error.value)
    assert text.startswith(
        "corpus.tokenizer.name: nobody/nothing (revision v1): tokenizer.json is not in "
        "the hub's cache, and HF_HUB_OFFLINE is set. "
    )
    assert "\n" not in text
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("nowhere", "no such folder;"), ("hub", "no tokenizer.json in this folder")],
)
def test_a_folder_without_a_tokenizer_is_one_line(tmp_path, name, text):
    source = saved(tmp_path / "hub", pythia_like(), eos_token="<|endoftext|>")
    (source / "tokenizer.json").unlink()
    with pytest.raises(HeadwaterError) as error:
        make(tmp_path / "t", {"name": str(tmp_path / name), "revision": "main"})
    start = f'corpus.tokenizer.name: "{tmp_path / name}": '
    assert str(error.value).startswith(start + text)


def test_tokenizer_without_an_end_is_refused(tmp_path):
    source = saved(tmp_path / "hub", pythia_like())
    with pytest.raises(HeadwaterError) as error:
        make(tmp_path / "t", {"name": str(source), "revision": "main"})
    assert str(error.value) == (
        f"corpus.tokenizer.name: {source} names no end-of-text token (eos_token in "
        "tokenizer_config.json), which is needed to end documents"
    )


def test_vocabulary_larger_than_the_models_is_refused(tmp_path, shard):
    with pytest.raises(HeadwaterError) as error:
        make(tmp_path / "t", {"vocab_size": 300}, [shard], model_vocabulary=299)
    assert str(error.value) == (
        "trained tokenizer has 300 token ids, but model.vocab_size is 299; raise "
        "model.vocab_size to 300 or more, or choose a smaller tokenizer"
    )
    assert not (tmp_path / "t").exists()
    make(tmp_path / "t", {"vocab_size": 300}, [shard], model_vocabulary=300)


def test_the_highest_id_counts_not_the_number_of_tokens(tmp_path):
    words = {f"w{number}": number for number in range(0, 902, 2)}
    gaps = Tokenizer(models.WordLevel(words, unk_token="w0"))
    source = saved(tmp_path / "hub", gaps, eos_token="w2")
    with pytest.raises(HeadwaterError, match="has 901 token ids"):
        make(tmp_path / "t", {"name": str(source)}, model_vocabulary=500)


def test_vocabulary_below_the_bytes_is_refused(tmp_path, shard):
    with pytest.raises(HeadwaterError, match="needs 257 or more"):
        make(tmp_path / "t", {"vocab_size": 256}, [shard])


def test_bad_line_is_met_while_training(tmp_path):
    shard = write_shard(tmp_path / "a.jsonl.zst", [line("x"), b"{"])
    with pytest.raises(HeadwaterError, match="line 2: broken JSON"):
        make(tmp_path / "t", {"vocab_size": 300}, [shard])


def test_folder_of_another_config_or_damaged_is_refused(tmp_path, shard):
    folder = make(tmp_path / "t", {"vocab_size": 300}, [shard])
    with pytest.raises(HeadwaterError) as error:
        Encoder.open(folder, small_config(corpus__seq_len=32))
    assert "corpus.seq_len is 16 there, 32 here" in str(error.value)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(HeadwaterError, match="not a readable tokenizer folder"):
        Encoder.open(folder, small_config())
    shutil.rmtree(folder)
    with pytest.raises(HeadwaterError, match="not a readable tokenizer folder"):
        Encoder.open(folder, small_config())


def test_sample_of_a_small_corpus_is_all_of_it(tmp_path):
    shards = [
        write_shard(tmp_path / f"{n}.jsonl.zst", some_documents(300, n)) for n in (1, 2)
    ]
    texts = [json.loads(d)["text"] for n in (1, 2) for d in some_documents(300, n)]
    assert list(making.sample_texts(shards, "fail", 10**8)) == texts


def test_sample_is_bounded_and_from_everywhere(tmp_path):
    def text(number):
        return f"{number} " + " ".join(str(number * i) for i in range(50))

    shards = [
        write_shard(
            tmp_path / f"{n}.jsonl.zst", (line(text(n * 3000 + i)) for i in range(3000))
        )
        for n in range(2)
    ]
    sample = list(making.sample_texts(shards, "fail", 100_000))
    assert 90_000 < sum(map(len, sample)) < 101_000
    numbers = np.array([int(text.split()[0]) for text in sample])
    assert (np.histogram(numbers, bins=4, range=(0, 6000))[0] > 20).all()
