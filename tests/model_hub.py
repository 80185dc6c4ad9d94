"""Tiny models with Pythia's layout, and a local hub that serves their revisions.

A model's files are under `<root>/models/<owner>/<name>/<revision>/`. Ranges of bytes,
faults and data sets are those of `hub_server`.
"""

import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import save_file

import hub_server

REPO = "EleutherAI/pythia-tiny"
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "rotary_pct": 0.25,
    "vocab_size": 304,
}
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.*)")
_REFS = re.compile(r"/api/models/([^/]+/[^/]+)/refs")


def serve(root: Path) -> AbstractContextManager[hub_server.HubServer]:
    """Serve a folder's models and data sets as long as the block lasts."""
    return hub_server.serve(root, _Handler)


class _Handler(hub_server._Handler):
    def _answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        asked, refs = _FILE.fullmatch(path), _REFS.fullmatch(path)
        if path.startswith(("/datasets/", "/files/")) or not (asked or refs):
            super()._answer(body)
            return
        self.server.requests.append((self.command, path, self.headers.get("Range", "")))
        if refs:
            self._refs(self.server.root / "models" / refs[1])
        else:
            self._model_file(
                self.server.root / "models" / asked[1], *asked.groups()[1:]
            )

    def _model_file(self, repo: Path, revision: str, name: str) -> None:
        found = [
            f for f in repo.glob("*") if revision in (f.name, hub_server.commit(f))
        ]
        if not repo.is_dir():
            self._text(401, "no such model", {"X-Error-Code": "RepoNotFound"})
        elif not found:
            self._text(404, "no such revision", {"X-Error-Code": "RevisionNotFound"})
        else:
            headers = {"X-Repo-Commit": hub_server.commit(found[0])}
            self._file(found[0] / name, headers)

    def _refs(self, repo: Path) -> None:
        branches = [
            {
                "name": folder.name,
                "ref": f"refs/heads/{folder.name}",
                "targetCommit": hub_server.commit(folder),
            }
            for folder in sorted(repo.iterdir())
        ]
        self._json({"branches": branches, "tags": [], "converts": []})


def write_revision(
    folder: Path, seed: int = 0, pickled: bool = False, **changes: Any
) -> Path:
    """A revision as the hub has Pythia's: half precision, old names, old buffers."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**pythia_config(), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = pythia_tensors(seed)
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def pythia_config() -> dict[str, Any]:
    """`config.json` with the keys that Pythia's has on the hub."""
    return {
        "architectures": ["GPTNeoXForCausalLM"],
        "bos_token_id": 0,
        "eos_token_id": 0,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 64,
        "model_type": "gpt_neox",
        "rotary_emb_base": 10000,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.24.0",
        "use_cache": True,
        "use_parallel_residual": True,
        **SHAPE,
    }


def pythia_tensors(seed: int) -> dict[str, torch.Tensor]:
    """Random weights under the hub's names, norms at 1 and biases at 0."""
    generator = torch.Generator().manual_seed(seed)
    width, wide, rows = (
        SHAPE[name] for name in ("hidden_size", "intermediate_size", "vocab_size")
    )

    def matrix(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=generator) * 0.11).half()

    tensors = {
        "gpt_neox.embed_in.weight": matrix(rows, width),
        "gpt_neox.final_layer_norm.weight": torch.ones(width).half(),
        "gpt_neox.final_layer_norm.bias": torch.zeros(width).half(),
        "embed_out.weight": matrix(rows, width),
    }
    for layer in range(SHAPE["num_hidden_layers"]):
        start = f"gpt_neox.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{start}.{name}.weight"] = torch.ones(width).half()
            tensors[f"{start}.{name}.bias"] = torch.zeros(width).half()
        layers = {
            "attention.query_key_value": (3 * width, width),
            "attention.dense": (width, width),
            "mlp.dense_h_to_4h": (wide, width),
            "mlp.dense_4h_to_h": (width, wide),
        }
        for name, shape in layers.items():
            tensors[f"{start}.{name}.weight"] = matrix(*shape)
            tensors[f"{start}.{name}.bias"] = torch.zeros(shape[0]).half()
        mask = torch.ones(64, 64, dtype=torch.uint8).tril()[None, None]
        tensors[f"{start}.attention.bias"] = mask
        tensors[f"{start}.attention.masked_bias"] = torch.tensor(-1e9)
        tensors[f"{start}.attention.rotary_emb.inv_freq"] = torch.ones(1)
    return tensors
