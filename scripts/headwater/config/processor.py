"""What `training.precision: auto` means on this machine."""

import re
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last is Arm's


def has_bf16_products(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies bf16 matrices in hardware; where unsaid, not."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
    return bool(flags and BF16_FLAGS.intersection(flags[1].split()))


def settle_precision(config: dict[str, Any]) -> None:
    """Put the precision that `auto` means into a config, and so into every identity.

    A run that goes on with another kind of processor is then refused, not mixed.
    """
    training = config["training"]
    if training["precision"] == "auto":
        training["precision"] = "bf16" if has_bf16_products() else "fp32"
