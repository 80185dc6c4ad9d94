"""`training.precision: auto`: what the processor says, and nothing by guess."""

from pathlib import Path

import pytest

from headwater.config.processor import has_bf16_products, settle_precision


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16\n", True),
        ("model name : bf16 lover\nflags : fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("Features\t: fp asimd\n", False),
        ("flags : fpu xbf16x avx512_bf16_no\n", False),
        ("", False),
    ],
)
def test_bf16_is_read_off_the_processors_flags(tmp_path: Path, text, found):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert has_bf16_products(path) == found


def test_a_system_that_does_not_say_has_none(tmp_path: Path):
    assert not has_bf16_products(tmp_path / "none")


@pytest.mark.parametrize("named", ["fp32", "bf16", "fp16"])
def test_a_precision_that_is_named_stays(named):
    config = {"training": {"precision": named}}
    settle_precision(config)
    assert config["training"]["precision"] == named


def test_auto_is_settled_before_anything_is_stamped():
    config = {"training": {"precision": "auto"}}
    settle_precision(config)
    assert config["training"]["precision"] in ("bf16", "fp32")
