"""Which settings of a model's `config.json` can be used. Read while rules are parsed.

What `transformers` takes in silence though nothing can come of it is refused here: a
base of 0 for the rotary angles, or a negative epsilon, makes every number NaN.
"""

from collections.abc import Iterator, Mapping
from typing import Any

SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings"),
)
FLAGS = ("attention_bias", "use_parallel_residual", "tie_word_embeddings")
NUMBERS = ("layer_norm_eps", "rotary_emb_base", "rope_theta", "factor")
SHARES = ("rotary_pct", "partial_rotary_factor")
DTYPES = ("float16", "bfloat16", "float32", "float64")
_ROPE = ("rope_parameters", "rope_scaling")
_LARGEST = 3e38  # of float32


def settings_problem(found: Mapping[str, Any]) -> str | None:
    """The first setting that cannot be used, in one line.

    Args:
        found: what `config.json` says. A key that it leaves out is not looked at.
    """
    if found.get("quantization_config") is not None:
        return (
            "quantization_config: quantised weights are not supported; take the model "
            "in float16, bfloat16 or float32"
        )
    for place, value, fits, wanted in _checks(found):
        if not fits:
            return f"{place} is {value!r}, but must be {wanted}"
    return None


def _checks(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool, str]]:
    """Place, value, whether it fits, and what would."""
    for key in SIZES:
        value = found.get(key, 1)
        yield key, value, _whole(value), "a whole number above 0"
    for key in FLAGS:
        value = found.get(key, True)
        yield key, value, isinstance(value, bool), "true or false"
    for key in ("torch_dtype", "dtype"):
        value = found.get(key)
        yield key, value, value is None or value in DTYPES, f"one of {DTYPES}"
    value = found.get("hidden_act", "")
    yield "hidden_act", value, isinstance(value, str), "the name of a function"
    yield from _positive("", found)
    for key in _ROPE:
        inner = found.get(key)
        yield key, inner, inner is None or isinstance(inner, dict), "an object"
        if isinstance(inner, dict):
            yield from _positive(f"{key}.", inner)


def _positive(
    prefix: str, found: Mapping[str, Any]
) -> Iterator[tuple[str, Any, bool, str]]:
    for key in NUMBERS:
        value = found.get(key, 1)
        fits = _number(value) and 0 < value < _LARGEST
        yield prefix + key, value, fits, "a finite number above 0"
    for key in SHARES:
        value = found.get(key, 1)
        fits = _number(value) and 0 < value <= 1
        yield prefix + key, value, fits, "a number above 0, at most 1"


def _whole(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
