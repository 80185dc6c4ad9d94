"""Seeds, from config and identity alone."""

import hashlib


def stable_seed(*parts: object) -> int:
    """A 63-bit seed from identity (experiment seed, stage, shard, ...), never time."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
