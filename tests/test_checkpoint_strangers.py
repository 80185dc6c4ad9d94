"""Files of a stranger's checkpoint that cannot be used: refused by name."""

import contextlib
import json
import math
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from headwater.checkpoints.weights import load_pickled
from headwater.errors import HeadwaterError
from model_hub import pythia_tensors, write_revision
from test_checkpoint_source import WEIGHTS, fetch, folder_config, refusal

NAME = "gpt_neox.layers.1.attention.dense.weight"
BIAS = "gpt_neox.layers.0.mlp.dense_h_to_4h.bias"
INDEX = f"{WEIGHTS}.index.json"


def in_parts(folder: Path, *, where: Any = None) -> Path:
    """A revision in two files, with an index; `where` stands in for one of them."""
    write_revision(folder, 7)
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names, parts = sorted(tensors), {}
    for number, half in enumerate((names[::2], names[1::2])):
        part = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in half}, folder / part)
        parts |= dict.fromkeys(half, part)
    if where is not None:
        parts[NAME] = where
    (folder / INDEX).write_text(json.dumps({"weight_map": parts}))
    return folder


def message_of(tmp_path: Path) -> str:
    found = refusal(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    assert "delete" not in found
    return found


# Paths


@pytest.mark.parametrize(
    "where",
    [
        *("../../elsewhere.safetensors", "../step0/model-0.safetensors", ".", ".."),
        *("/etc/hostname", "sub/model.safetensors", "", "a\\b", "a\0b", "a\nb"),
        *(5, 0.5, True, None, [], ["model-0.safetensors"], {}, {"a": "b"}),
    ],
)
def test_an_index_names_files_of_its_folder_only(tmp_path, where):
    write_revision(tmp_path, 3)
    os.rename(tmp_path / WEIGHTS, tmp_path / "elsewhere.safetensors")
    folder = in_parts(tmp_path / "m" / "step0")
    text = (folder / INDEX).read_text()
    parts = json.loads(text)
    parts["weight_map"][NAME] = where
    (folder / INDEX).write_text(json.dumps(parts))
    found = message_of(tmp_path)
    assert found.startswith(f"{folder / INDEX}: damaged (weight_map names {where!r}, ")


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{}", "{", "\ufeff", "null", "[" * 100_000, '{"weight_map": {}}'),
        *(
            '{"weight_map": [1]}',
            '{"weight_map": 5}',
            '{"weight_map": {"a": 1, "a": 2}}',
        ),
    ],
)
def test_a_broken_index_is_one_line(tmp_path, text):
    folder = in_parts(tmp_path / "m" / "step0")
    (folder / INDEX).write_text(text)
    assert message_of(tmp_path).startswith(f"{folder / INDEX}: damaged (")


@pytest.mark.parametrize("name", ["model-9.safetensors", "m" * 300, "loop"])
def test_a_part_that_is_not_there_is_named(tmp_path, name):
    folder = in_parts(tmp_path / "m" / "step0", where=name)
    (folder / "loop").symlink_to("loop")
    found = message_of(tmp_path)
    assert found.startswith(f"{folder / INDEX}: it names {name}, which is not there")


def test_a_tensor_in_two_parts_is_refused(tmp_path):
    folder = in_parts(tmp_path / "m" / "step0")
    first, second = (folder / f"model-{n}.safetensors" for n in (0, 1))
    save_file({**load_file(second), **load_file(first)}, second)
    assert f"stands in another file of {INDEX}" in message_of(tmp_path)


@pytest.mark.parametrize("name", ["model-0.safetensors", "config.json", INDEX])
def test_a_link_that_leads_out_is_not_followed(tmp_path, name):
    path = in_parts(tmp_path / "m" / "step0") / name
    outside = tmp_path / "outside"
    os.rename(path, outside)
    path.symlink_to(outside)
    assert message_of(tmp_path).startswith(f"{path}: a link that leads out of ")


def test_links_within_the_folder_and_of_the_hubs_cache_are_followed(tmp_path):
    write_revision(tmp_path / "m" / "step4", 5)
    beside = write_revision(tmp_path / "m" / "step0", 6)
    (beside / WEIGHTS).unlink()
    (beside / WEIGHTS).symlink_to("../step4/" + WEIGHTS)
    snapshot = write_revision(tmp_path / "hub" / "snapshots" / "abc", 7)
    (tmp_path / "hub" / "blobs").mkdir()
    os.rename(snapshot / WEIGHTS, tmp_path / "hub" / "blobs" / "1")
    (snapshot / WEIGHTS).symlink_to("../../blobs/1")
    (tmp_path / "m" / "step8").symlink_to(snapshot)
    config = folder_config(tmp_path / "m")
    for revision, seed in (("step0", 5), ("step8", 7)):
        found = load_file(fetch(tmp_path / revision, revision, config) / WEIGHTS)
        expected = pythia_tensors(seed)["embed_out.weight"]
        assert torch.equal(found["embed_out.weight"], expected)


# Tensors


def as_type(dtype: torch.dtype):
    return lambda tensor: tensor.float().to(dtype)


def quantised(tensor: torch.Tensor) -> torch.Tensor:
    return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)


def nested(tensor: torch.Tensor) -> torch.Tensor:
    return torch.nested.nested_tensor(list(tensor.float()))


SAFE_TYPES = (
    *(torch.int8, torch.int64, torch.uint8, torch.bool, torch.int16, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
)


@pytest.mark.parametrize("dtype", SAFE_TYPES)
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("name", [NAME, BIAS])
def test_a_type_that_no_weights_have_is_refused(tmp_path, dtype, pickled, name):
    folder = write_revision(tmp_path / "m" / "step0", pickled=pickled)
    tensors = pythia_tensors(0)
    tensors[name] = as_type(dtype)(tensors[name])
    path = folder / ("pytorch_model.bin" if pickled else WEIGHTS)
    (torch.save if pickled else save_file)(tensors, path)
    kind = str(dtype).removeprefix("torch.")
    assert message_of(tmp_path).startswith(f"{path}: {name} is of type {kind}; only")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (quantised, "of type qint8"),
        (lambda t: t.float().to_sparse(), "no dense tensor"),
        (lambda t: t.float().to_sparse_csr(), "no dense tensor"),
        (lambda t: t.to("meta"), "a tensor without numbers"),
        (nested, "no dense tensor"),
        (as_type(torch.complex128), "of type complex128"),
    ],
)
def test_a_tensor_of_another_kind_is_refused(tmp_path, change, kind):
    folder = write_revision(tmp_path / "m" / "step0", pickled=True)
    path = folder / "pytorch_model.bin"
    torch.save({**pythia_tensors(0), NAME: change(pythia_tensors(0)[NAME])}, path)
    assert message_of(tmp_path).startswith(f"{path}: {NAME} is {kind}")


def test_a_huge_view_of_one_number_is_refused_by_its_shape(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0", pickled=True)
    tensors = {**pythia_tensors(0), NAME: torch.ones(1).expand(2**40)}
    torch.save(tensors, folder / "pytorch_model.bin")
    assert f"{NAME} is (1099511627776,), config.json needs (32, 32)" in message_of(
        tmp_path
    )


def test_double_precision_is_narrowed_or_refused(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0")
    tensors = {k: v.double() for k, v in pythia_tensors(0).items()}
    save_file(tensors, folder / WEIGHTS)
    target = fetch(tmp_path / "fits", "step0", folder_config(tmp_path / "m"))
    found = load_file(target / WEIGHTS)
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert torch.equal(found[NAME], tensors[NAME].float())
    tensors[NAME][3, 4] = -1e39
    save_file(tensors, folder / WEIGHTS)
    assert f"1 of the 1024 numbers of {NAME} are too large for" in message_of(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    folder = write_revision(tmp_path / "m" / "step0")
    tensors = pythia_tensors(0)
    tensors[BIAS][5] = value
    save_file(tensors, folder / WEIGHTS)
    assert f"1 of the 128 numbers of {BIAS} are NaN or inf" in message_of(tmp_path)


def test_tensors_that_share_memory_are_told_apart(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0", pickled=True)
    tensors = pythia_tensors(0)
    tensors["embed_out.weight"] = tensors["gpt_neox.embed_in.weight"]
    tensors[NAME] = torch.nn.Parameter(tensors[NAME].T)
    torch.save(tensors, folder / "pytorch_model.bin")
    target = fetch(tmp_path / "out", "step0", folder_config(tmp_path / "m"))
    found = load_file(target / WEIGHTS)
    assert torch.equal(found["embed_out.weight"], found["gpt_neox.embed_in.weight"])
    assert torch.equal(found[NAME], tensors[NAME])


def test_a_weight_under_both_names_is_refused(tmp_path):
    folder = write_revision(tmp_path / "m" / "step0")
    tensors = pythia_tensors(0)
    tensors["lm_head.weight"] = tensors["embed_out.weight"].clone()
    save_file(tensors, folder / WEIGHTS)
    assert "stands there twice, under an old and a new name" in message_of(tmp_path)


# Pickles


class Called:
    """Pickled, it is the call of a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = [
    b"",
    b"\x80",
    b"\x80\x02.",
    b"\x80\x02]q\x00e.",
    b"\x80\x02h\x05.",
    b"\x80\x02K\x01K\x02\x86R.",
    b"\x80\x02}q\x00(X\x01\x00\x00\x00au.",
    b"\x80\x02}(K\x01K\x02u.",
    b"PK\x03\x04" + b"\0" * 40,
    b"\x80\x02ctorch\nnothing\n.",
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    b"\x80\x02U\xff.",
    b"(" * 5000,
    struct.pack("<Q", 2**63) + b"{}",
]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("name", ["pytorch_model.bin", WEIGHTS])
def test_broken_files_are_one_line(tmp_path, data, name):
    folder = write_revision(tmp_path / "m" / "step0", pickled=True)
    (folder / name).write_bytes(data)
    assert message_of(tmp_path).startswith(f"{folder / name}: ")


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1),
    st.booleans(),
)
def test_a_damaged_pickle_gives_tensors_or_one_line(tmp_path_factory, spots, old):
    folder = tmp_path_factory.mktemp("b")
    tensors = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
    torch.save(tensors, folder / "a.bin", _use_new_zipfile_serialization=not old)
    data = bytearray((folder / "a.bin").read_bytes())
    for place, value in spots:
        data[place % len(data)] = value
    (folder / "a.bin").write_bytes(data)
    with contextlib.suppress(HeadwaterError):
        assert all(map(torch.is_tensor, load_pickled(folder / "a.bin").values()))


@pytest.mark.parametrize(
    "content",
    [
        {1: torch.ones(1)},
        {("a",): torch.ones(1)},
        {None: torch.ones(1)},
        {"a": 5},
        {"module": {"a": torch.ones(1)}},
        [torch.ones(1)],
        torch.ones(1),
        None,
        {"a": Called(os.getcwd)},
        {"a": Called(getattr, "word", "upper")},
    ],
)
def test_a_file_of_other_things_is_one_line(tmp_path, content):
    folder = write_revision(tmp_path / "m" / "step0", pickled=True)
    path = folder / "pytorch_model.bin"
    torch.save(content, path)
    assert message_of(tmp_path).startswith(f"{path}: ")
    path.write_bytes(pickle.dumps(content))
    assert message_of(tmp_path).startswith(f"{path}: ")
