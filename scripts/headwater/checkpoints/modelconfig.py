"""A model's `config.json` as `transformers` reads it."""

from pathlib import Path
from typing import TYPE_CHECKING

from headwater.checkpoints.damage import one_line_if_damaged
from headwater.checkpoints.shape import model_problem
from headwater.errors import HeadwaterError
from headwater.strictjson import read_object
from headwater.suggestions import suggestion

if TYPE_CHECKING:
    from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig


def read_model_config(path: Path, own: bool = True) -> "GPTNeoXConfig":
    """The model's config from `config.json`.

    Args:
        own: whether it is a result of Headwater's, and not the user's.

    Raises:
        HeadwaterError: damaged, of a model that is no GPT-NeoX, or with settings that
            cannot be used.
    """
    from transformers.models.gpt_neox.configuration_gpt_neox import GPTNeoXConfig

    with one_line_if_damaged(path, own):
        wrong = model_problem(read_object(path))
        config = None if wrong else GPTNeoXConfig.from_json_file(path)
        wrong = wrong or _unknown_function(config)
        if wrong:
            raise HeadwaterError(f"{path}: {wrong}")
        return config


def _unknown_function(config: "GPTNeoXConfig") -> str | None:
    """What `transformers` has no function for."""
    from transformers.activations import ACT2FN
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = config.rope_parameters["rope_type"]
    for key, name, known in (
        ("hidden_act", config.hidden_act, list(ACT2FN)),
        ("rope_type", rope, ["default", *ROPE_INIT_FUNCTIONS]),
    ):
        if name not in known:
            otherwise = f"; known are {', '.join(known)}"
            return f"{key} is {name!r}" + suggestion(name, known, otherwise)
    return None
