"""Vectors in few bits: a random rotation, then equal steps.

Whitened gradients are spiky: a few coordinates of a row are ten times its usual size.
Steps that reach them waste bits on all others; steps that do not cut them off, and the
row's other coordinates are inflated in their place. A random rotation of the whole
vector first makes every coordinate nearly normal, for which the best step is known. It
keeps inner products, so a query is rotated once and read against the codes as they are;
and it knows nothing of any probe, so every probe can be asked afterwards.

A round of the rotation flips signs by a seeded draw and mixes groups of 64 coordinates
by a Hadamard matrix; the next round's groups take a coordinate from each, until all
have met. Rounding is dithered: where a coordinate's steps begin is drawn too, the same
for all rows. So the error knows nothing of the vector, even where a rotation leaves few
different values, as it does of a single spike.

Codes are packed: byte j of a row holds, from its lowest bits up, coordinates j, j + n,
j + 2n, ... for n bytes a row.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

# Stored with codes; another rotation or rounding has another name.
SCHEME = "rotated whole, dithered"
# The step, in standard deviations, with the least squared error for a normal variable
# that is rounded with dither (by numerical search).
STEPS = {1: 1.5316, 2: 1.0121, 4: 0.3363, 8: 0.03071}
MIX = 64
_CACHED = 1 << 19  # unpacked coordinates of this many stay in the processor's cache


@dataclass(frozen=True)
class Codec:
    """Rotates and codes vectors of one length.

    Attributes:
        count: coordinates of a vector.
        bits: bits a coordinate: 1, 2, 4 or 8.
        seed: of the rotation and the dither.
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
    def _lowest(self) -> Float32[Tensor, " padded"]:
        """What code 0 stands for, in steps."""
        return _draw(self.padded, self.seed)[1] - (2**self.bits - 1) / 2

    def rotate(
        self, values: Float[Tensor, "*rows count"]
    ) -> Float[Tensor, "*rows padded"]:
        """Vectors with the same inner products, every coordinate spread over all."""
        return self._rotate(values, self._rounds(values))

    def _rounds(self, like: Tensor, weights: Tensor | None = None) -> list[Tensor]:
        """Each round's signs; the first one's times `weights`."""
        first, *later = _draw(self.padded, self.seed)[0].to(like.device)
        first = first[: self.count]
        first = first if weights is None else first * weights
        return [signs.to(like) for signs in (first, *later)]

    def _rotate(self, values: Tensor, rounds: list[Tensor]) -> Tensor:
        mixer, (first, *later) = _mixer().to(values), rounds
        turned = values * first
        if self.padded > self.count:
            turned = torch.nn.functional.pad(turned, (0, self.padded - self.count))
        turned = _mix(turned, mixer)
        for signs in later:
            turned = _mix(turned.mul_(signs), mixer)
        return turned

    def turn_back(
        self, rotated: Float[Tensor, "*rows padded"]
    ) -> Float[Tensor, "*rows count"]:
        """The vectors that `rotate` gave these of."""
        mixer, (first, *later) = _mixer().to(rotated), self._rounds(rotated)
        for signs in reversed(later):
            rotated = _unmix(rotated, mixer) * signs
        return _unmix(rotated, mixer)[..., : self.count] * first

    def encode(
        self,
        values: Float[Tensor, "rows count"],
        weights: Float[Tensor, " count"] | None = None,
    ) -> tuple[UInt8[Tensor, "rows width"], Float[Tensor, " rows"]]:
        """Code vectors, multiplied by `weights` first.

        Returns:
            (codes, scale of each row): code u of a coordinate stands for
            `scale * (u - (2^bits - 1) / 2 + d)`, with the coordinate's dither d.
        """
        rounds, lowest = self._rounds(values, weights), self._lowest.to(values)
        pieces = [
            self._encode(self._rotate(v, rounds), lowest)
            for v in values.split(max(1, _CACHED // self.padded))
        ]
        return torch.cat([c for c, _ in pieces]), torch.cat([s for _, s in pieces])

    def _encode(self, rotated: Tensor, lowest: Tensor) -> tuple[Tensor, Tensor]:
        norms = torch.linalg.vector_norm(rotated, dim=1)
        scale = norms * (STEPS[self.bits] / self.padded**0.5)
        safe = torch.where(scale > 0, scale, torch.ones_like(scale))[:, None]
        rotated.div_(safe)
        # To integers by cutting off, which is rounding down for what is not negative.
        nearest = (rotated + (0.5 - lowest)).clamp_(0, 2**self.bits - 1)
        codes = nearest.to(torch.uint8)
        # The outermost steps shrink a vector. Its scale makes up for that: the inner
        # product with the vector itself is exact, and those with others are right on
        # average over seeds, since after the rotation no direction is favoured.
        kept = (rotated * (codes.to(rotated) + lowest)).sum(dim=1)
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
        result = (self._lowest @ query).repeat(len(packed), 1)
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
        return (codes + self._lowest) * scale[:, None].float()


@lru_cache(maxsize=8)
def _draw(padded: int, seed: int) -> tuple[Tensor, Tensor]:
    """(signs of each round [rounds, padded], dither in steps [padded]) of a seed."""
    # A round multiplies the coordinates that one has reached by 64. More than needed
    # to reach all, in short vectors: what is nearly normal then is nearer.
    rounds = max(3, -(-(padded - 1).bit_length() // (MIX - 1).bit_length()))
    stream = np.random.Generator(np.random.Philox(seed))
    signs = stream.integers(0, 2, (rounds, padded)) * 2.0 - 1
    dither = stream.random(padded) - 0.5
    return torch.from_numpy(signs).float(), torch.from_numpy(dither).float()


@lru_cache(maxsize=1)
def _mixer() -> Float32[Tensor, "_mix _mix"]:
    from scipy.linalg import hadamard  # slow to import, and exact scores do without

    return torch.from_numpy(hadamard(MIX) / MIX**0.5).float()


def _mix(values: Tensor, mixer: Tensor) -> Tensor:
    return (values.unflatten(-1, (MIX, -1)).mT @ mixer).flatten(-2)


def _unmix(mixed: Tensor, mixer: Tensor) -> Tensor:
    return (mixed.unflatten(-1, (-1, MIX)) @ mixer.mT).mT.flatten(-2)
