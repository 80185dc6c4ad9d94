"""How a range of rows is divided among jobs."""


def share_of(total: int, shards: int, index: int) -> range:
    """The contiguous part of `range(total)` that job `index` of `shards` owns."""
    return range(total * index // shards, total * (index + 1) // shards)
