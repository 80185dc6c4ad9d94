"""A model's `config.json` as `transformers` reads it."""

from pathlib import Path
from typing import TYPE_CHECKING

from headwater.checkpoints.damage import one_line_if_damaged
from headwater.checkpoints.shape import model_problem
from headwater.errors import HeadwaterError
from headwater.strictjson import read_object
from headwater.suggestions import suggestion

if TYPE_CHECKING:
    from headwater.models.sites import ModelConfig


def read_model_config(path: Path, own: bool = True) -> "ModelConfig":
    """The model's config from `config.json`.

    Args:
        own: whether it is a result of Headwater's, and not the user's.

    Raises:
        HeadwaterError: damaged, of a model that is not supported, or with settings
            that cannot be used.
    """
    from headwater.models import architecture
    from headwater.models.sites import config_class

    with one_line_if_damaged(path, own):
        found = read_object(path)
        if wrong := model_problem(found):
            raise HeadwaterError(f"{path}: {wrong}")
        kind = architecture(found["model_type"])
        config = config_class(kind).from_json_file(path)
        if wrong := _unknown_function(config):
            raise HeadwaterError(f"{path}: {wrong}")
        return config


def _unknown_function(config: "ModelConfig") -> str | None:
    """What `transformers` has no function for."""
    from transformers.activations import ACT2FN
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    activation = getattr(config, "hidden_act", None) or config.activation_function
    rope = getattr(config, "rope_parameters", None) or {"rope_type": "default"}
    for key, name, known in (
        ("hidden_act", activation, list(ACT2FN)),
        ("rope_type", rope["rope_type"], ["default", *ROPE_INIT_FUNCTIONS]),
    ):
        if name not in known:
            otherwise = f"; known are {', '.join(known)}"
            return f"{key} is {name!r}" + suggestion(name, known, otherwise)
    return None
