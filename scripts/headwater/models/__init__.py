"""The architectures that are supported, a small file each: `base.Architecture`."""

from headwater.members import load, names
from headwater.models.base import Architecture

ARCHITECTURES: dict[str, Architecture] = {
    kind.model_type: kind
    for name in names(__file__, without=("base", "outputs", "sections", "sites"))
    for kind in load(__name__, name).ARCHITECTURES
}


def architecture(model_type: str) -> Architecture:
    """The architecture of a `model_type`, which is known to be supported."""
    return ARCHITECTURES[model_type]


__all__ = ["ARCHITECTURES", "Architecture", "architecture"]
