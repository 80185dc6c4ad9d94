"""Tokenizers made elsewhere: the file is what counts, and it is checked first."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from headwater.corpus.encoding import Encoder
from headwater.corpus.tokenizer import END_OF_DOCUMENT, fetch, train
from headwater.corpus.tokenizerfile import open_tokenizer
from headwater.errors import HeadwaterError
from test_corpus_support import some_text

CLASSES = (
    *("PreTrainedTokenizerFast", "LlamaTokenizer", "GPT2Tokenizer", "BertTokenizer"),
    *("GPTNeoXTokenizer", "Qwen2TokenizerFast", "OursTokenizer", None),
)
TEXT = some_text(3, 200) + "\n\n\n650841823 ＡＢ e\u0301  don't\r\n"


def bytewise() -> Tokenizer:
    return train(iter([some_text(0, 2000)]), 300)


def split_numbers() -> Tokenizer:
    tokenizer = bytewise()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}|\s*[\r\n]+|\s+|\S"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def folded() -> Tokenizer:
    tokenizer = bytewise()
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.add_tokens([AddedToken("  ", normalized=False)])
    return tokenizer


def words() -> Tokenizer:
    found = dict.fromkeys(["<|endoftext|>", "?", *some_text(0, 500).split()])
    numbered = {word: number for number, word in enumerate(found)}
    tokenizer = Tokenizer(models.WordLevel(numbered, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def pieces() -> Tokenizer:
    scored = [("<unk>", 0.0), ("<|endoftext|>", 0.0)]
    scored += [(letter, -2.0 - number / 9) for number, letter in enumerate("▁theofan")]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def written(folder: Path, tokenizer: Tokenizer | dict[str, Any], **config: Any) -> Path:
    """A folder as the hub has it."""
    folder.mkdir(parents=True, exist_ok=True)
    is_plain = isinstance(tokenizer, dict)
    text = json.dumps(tokenizer) if is_plain else tokenizer.to_str(pretty=True)
    (folder / "tokenizer.json").write_text(text, "utf-8")
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def fetched(source: Path | str, target: Path) -> Path:
    target.mkdir()
    end = fetch(target, str(source), "main")
    assert PreTrainedTokenizerFast.from_pretrained(target).eos_token_id == end
    return target


def refusal(source: Path, target: Path) -> str:
    target.mkdir()
    with pytest.raises(HeadwaterError) as caught:
        fetch(target, str(source), "main")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("corpus.tokenizer.name: ")
    assert not list(target.iterdir())
    return message


# What tokenizes


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("make", [split_numbers, folded, words, pieces])
def test_the_file_tokenizes_whatever_class_is_named(tmp_path, make, name):
    tokenizer = make()
    source = written(
        tmp_path / "hub", tokenizer, tokenizer_class=name, eos_token="<|endoftext|>"
    )
    target = fetched(source, tmp_path / "t")
    assert (target / "tokenizer.json").read_bytes() == (
        source / "tokenizer.json"
    ).read_bytes()
    expected = tokenizer.encode(TEXT).ids
    assert (
        PreTrainedTokenizerFast.from_pretrained(target)(TEXT)["input_ids"] == expected
    )
    found = AutoTokenizer.from_pretrained(target)
    assert found(TEXT)["input_ids"] == expected
    assert len(found) == tokenizer.get_vocab_size()


def test_the_file_tokenizes_that_a_name_of_the_hub_has(model_server, tmp_path):
    source = written(
        model_server.root / "models" / "someone/words" / "main",
        split_numbers(),
        tokenizer_class="GPT2Tokenizer",
        eos_token="<|endoftext|>",
    )
    target = fetched("someone/words", tmp_path / "t")
    assert (target / "tokenizer.json").read_bytes() == (
        source / "tokenizer.json"
    ).read_bytes()
    (source / "tokenizer.json").unlink()
    (tmp_path / "u").mkdir()
    with pytest.raises(HeadwaterError) as caught:
        fetch(tmp_path / "u", "someone/words", "mian")
    assert "has no revision 'mian'; the nearest are main" in str(caught.value)


def test_an_end_that_is_an_ordinary_added_token_is_no_text(tmp_path):
    found = json.loads(bytewise().to_str())
    found["added_tokens"][0]["special"] = False
    tokenizer = Tokenizer.from_str(json.dumps(found))
    assert 0 in tokenizer.encode("a<|endoftext|>b").ids
    encoder = Encoder(tokenizer, 0)
    ids = encoder.encode(["a<|endoftext|>b"])[0].ids
    assert 0 not in ids
    assert encoder.decode(ids) == "a<|endoftext|>b"


def chunks_of_nothing() -> Tokenizer:
    tokenizer = bytewise()
    found = json.loads(tokenizer.to_str())
    found["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    return Tokenizer.from_str(json.dumps(found))


@pytest.mark.parametrize(
    "tokenizer",
    [Tokenizer(models.WordLevel({"a": 0}, unk_token="?")), chunks_of_nothing()],
)
def test_a_text_without_tokens_is_one_line(tokenizer):
    with pytest.raises(HeadwaterError, match="a text cannot be tokenized"):
        Encoder(tokenizer, 0).encode(["a new word"])


# The end of a text


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("tokenizer_config.json", {"eos_token": {"content": "the", "special": True}}),
        ("special_tokens_map.json", {"eos_token": "the"}),
        ("special_tokens_map.json", {"eos_token": {"content": "the"}}),
        ("config.json", {"eos_token_id": 2}),
    ],
)
def test_the_end_is_what_a_file_beside_it_says(tmp_path, file, said):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "the": 2}, unk_token="a"))
    source = written(tmp_path / "hub", tokenizer, eos_token=None)
    (source / file).write_text(json.dumps(said))
    (tmp_path / "t").mkdir()
    assert fetch(tmp_path / "t", str(source), "main") == 2


@pytest.mark.parametrize("end", ["</s>", "", 5, ["the"], {"word": "the"}, True])
def test_an_end_that_is_no_token_is_refused(tmp_path, end):
    source = written(tmp_path / "hub", words(), eos_token=end)
    message = refusal(source, tmp_path / "t")
    assert f"tokenizer_config.json: eos_token is {end!r}, which is no token" in message


@pytest.mark.parametrize("number", [-1, 10_000, 2**40, [1, 2], "7"])
def test_an_end_that_is_no_id_is_refused(tmp_path, number):
    source = written(tmp_path / "hub", bytewise())
    (source / "config.json").write_text(json.dumps({"eos_token_id": number}))
    assert "config.json: eos_token_id is" in refusal(source, tmp_path / "t")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1, "a": 2}', "\udcff"])
def test_broken_settings_are_named(tmp_path, text):
    source = written(tmp_path / "hub", bytewise())
    path = source / "tokenizer_config.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert f"{path}: cannot be read (" in refusal(source, tmp_path / "t")


# Ids


def spoiled(change) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytewise().to_str())
    change(found, found["model"]["vocab"])
    return found


def add(number: Any, word: str = "<x>"):
    entry = AddedToken(word).__getstate__()
    return lambda f, v: f["added_tokens"].append({"id": number, **entry})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda f, v: v.update(zz=2**31 - 1),
            "highest id is 2147483647",
        ),
        (add(2**31 - 2), "the highest id is 2147483646, but there are only 301"),
        (lambda f, v: v.update(zz=2**70), "the highest id is"),
        (lambda f, v: v.update(zz=5), "both have id 5"),
        (add(7), "both have id 7"),
        (add(9, END_OF_DOCUMENT), "has the ids 0 and 9"),
        (add(310), "has id 310 in the file, but is read as 300"),
        (lambda f, v: v.update(zz=-1), "the id of 'zz' is -1"),
        (lambda f, v: v.update(zz=300.0), "the id of 'zz' is 300.0"),
        (lambda f, v: v.update(zz=True), "the id of 'zz' is True"),
        (lambda f, v: v.update(zz="300"), "the id of 'zz' is '300'"),
        (lambda f, v: (v.clear(), f.update(added_tokens=[])), "vocabulary is empty"),
        (lambda f, v: f.update(model={}), "no model.vocab"),
        (lambda f, v: f.update(model=[1]), "no model.vocab"),
        (lambda f, v: f["model"].update(vocab=3), "no model.vocab"),
        (lambda f, v: f.update(added_tokens={"a": 1}), "no model.vocab"),
        (lambda f, v: f["model"].update(dropout=0.1), "model.dropout draws other"),
        (lambda f, v: f["model"]["merges"].append(["qq", "zz"]), "not a tokenizer"),
        (lambda f, v: f.update(pre_tokenizer={"type": "New"}), "not a tokenizer"),
        (lambda f, v: f.update(normalizer=5), "not a tokenizer"),
        (lambda f, v: f["added_tokens"].append(5), "not a tokenizer"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, change, reason):
    source = written(tmp_path / "hub", spoiled(change), eos_token=END_OF_DOCUMENT)
    message = refusal(source, tmp_path / "t")
    start = f"corpus.tokenizer.name: {source / 'tokenizer.json'}: not a tokenizer that "
    assert message.startswith(start)
    assert reason in message


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 40), min_size=1))
def test_a_vocabulary_is_read_as_it_is_or_refused(tmp_path_factory, numbered):
    folder = tmp_path_factory.mktemp("t")
    model = {"type": "WordLevel", "vocab": numbered, "unk_token": "a"}
    path = written(folder, {"version": "1.0", "model": model}) / "tokenizer.json"
    ids = list(numbered.values())
    usable = len(set(ids)) == len(ids) and max(ids) + 1 <= 2 * len(ids)
    try:
        assert open_tokenizer(path).get_vocab() == numbered
        assert usable
    except HeadwaterError:
        assert not usable


def test_ids_without_a_token_are_told(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("headwater"), "propagate", True)
    found = spoiled(lambda f, v: v.update(zz=305))
    source = written(tmp_path / "hub", found, eos_token=END_OF_DOCUMENT)
    fetched(source, tmp_path / "t")
    [line] = set(caplog.messages)
    assert "5 of its 306 ids have no token" in line
    caplog.clear()
    plain = written(tmp_path / "plain", bytewise(), eos_token=END_OF_DOCUMENT)
    fetched(plain, tmp_path / "u")
    assert not caplog.messages
