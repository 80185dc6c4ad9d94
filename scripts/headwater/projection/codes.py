"""Vectors in few bits: a random rotation, then equal steps.

Whitened gradients are spiky: a few coordinates of a row are ten times its usual size,
and steps that reach them waste bits on all others. A random rotation first makes every
coordinate nearly normal, for which the best step is known. It keeps inner products, so
a query is rotated once and read against the codes as they are; and it knows nothing of
any probe, so every probe can be asked afterwards.

The rotation flips signs by a seeded draw and mixes each coordinate with 63 others that
lie far apart, by a Hadamard matrix. Codes are packed: byte j of a row holds, from its
lowest bits up, coordinates j, j + n, j + 2n, ... for n bytes a row.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

# The step, in standard deviations, with the least squared error for a normal variable
# (Max 1960, table II; 8 bits: by numerical search).
STEPS = {1: 1.596, 2: 0.9957, 4: 0.3352, 8: 0.03076}
MIX = 64
_CACHED = 1 << 19  # unpacked coordinates of this many stay in the processor's cache


@dataclass(frozen=True)
class Codec:
    """Rotates and codes vectors of one length.

    Attributes:
        count: coordinates of a vector.
        bits: bits a coordinate: 1, 2, 4 or 8.
        seed: of the rotation.
    """

    count: int
    bits: int
    seed: int

    @property
    def padded(self) -> int:
        """Coordinates after padding with zeros to whole mixing groups."""
        return -(-self.count // MIX) * MIX

    @property
    def width(self) -> int:
        """Bytes of a coded vector."""
        return self.padded * self.bits // 8

    @cached_property
    def _signs(self) -> Tensor:
        stream = np.random.Generator(np.random.Philox(self.seed))
        return torch.from_numpy(stream.integers(0, 2, self.padded) * 2.0 - 1)

    @cached_property
    def _mixer(self) -> Tensor:
        from scipy.linalg import hadamard  # slow to import, and exact scores do without

        return torch.from_numpy(hadamard(MIX) / np.sqrt(MIX))

    def rotate(
        self,
        values: Float[Tensor, "*rows count"],
        weights: Float[Tensor, " count"] | None = None,
    ) -> Float[Tensor, "*rows padded"]:
        """Vectors, multiplied by `weights` first, with the same inner products."""
        signs = self._signs[: self.count]
        signed = values * (signs if weights is None else signs * weights).to(values)
        if self.padded > self.count:
            signed = torch.nn.functional.pad(signed, (0, self.padded - self.count))
        groups = signed.unflatten(-1, (MIX, -1))
        return (self._mixer.to(values) @ groups).flatten(-2)

    def encode(
        self,
        values: Float[Tensor, "rows count"],
        weights: Float[Tensor, " count"] | None = None,
    ) -> tuple[UInt8[Tensor, "rows width"], Float[Tensor, " rows"]]:
        """Code vectors, multiplied by `weights` first.

        Returns:
            (codes, scale of each row): a coded coordinate u stands for
            `scale * (u - (2^bits - 1) / 2)`.
        """
        pieces = [
            self._encode(v, weights)
            for v in values.split(max(1, _CACHED // self.padded))
        ]
        return torch.cat([c for c, _ in pieces]), torch.cat([s for _, s in pieces])

    def _encode(self, values: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        rotated = self.rotate(values, weights)
        levels = 2**self.bits
        norms = torch.linalg.vector_norm(rotated, dim=1)
        scale = norms * (STEPS[self.bits] / self.padded**0.5)
        safe = torch.where(scale > 0, scale, torch.ones_like(scale))[:, None]
        rotated.div_(safe)
        # To integers by cutting off, which is rounding down for what is not negative.
        codes = (rotated + levels / 2).clamp_(0, levels - 1).to(torch.uint8)
        # Rounding shrinks a vector. Its scale makes up for that, so that the inner
        # product with the vector itself is exact, and with any other right on average.
        kept = (rotated * (codes.to(values) - (levels - 1) / 2)).sum(dim=1)
        kept = torch.where(kept > 0, kept, torch.ones_like(kept))
        return self._pack(codes), norms.square() / (safe[:, 0] * kept)

    def _pack(self, codes: UInt8[Tensor, "rows padded"]) -> UInt8[Tensor, "rows width"]:
        parts = codes.unflatten(-1, (-1, self.width)).unbind(dim=-2)
        packed = parts[0].clone()
        for place, part in enumerate(parts[1:], start=1):
            packed |= part << (place * self.bits)
        return packed

    def unpack(
        self, packed: UInt8[Tensor, "rows width"]
    ) -> list[UInt8[Tensor, "rows width"]]:
        """Codes of each stretch of `width` coordinates."""
        mask = 2**self.bits - 1
        places = range(0, 8, self.bits)
        return [(packed >> place) & mask for place in places]

    def products(
        self,
        packed: UInt8[Tensor, "rows width"],
        query: Float32[Tensor, "padded queries"],
    ) -> Float32[Tensor, "rows queries"]:
        """Inner products of coded vectors with rotated queries, before their scale."""
        parts = query.split(self.width)
        base = query.sum(dim=0) * (1 - 2**self.bits) / 2
        result = base.repeat(len(packed), 1)
        size = max(1, _CACHED // self.width)
        for rows, total in zip(packed.split(size), result.split(size), strict=True):
            for codes, part in zip(self.unpack(rows), parts, strict=True):
                total += codes.to(query.dtype) @ part
        return result

    def decode(
        self, packed: UInt8[Tensor, "rows width"], scale: Float[Tensor, " rows"]
    ) -> Float32[Tensor, "rows padded"]:
        """Coded vectors, still rotated."""
        codes = torch.cat(self.unpack(packed), dim=1).float()
        return (codes - (2**self.bits - 1) / 2) * scale[:, None].float()
