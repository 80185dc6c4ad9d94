"""When an arm is saved."""


def arm_schedule(start: int, end: int, every: int) -> list[int]:
    """Steps at which an arm is kept: both ends, and the multiples of `every` between.

    All are checkpoints of the baseline too, since `every` is a multiple of its interval
    and the ends are checkpoints; counting from a `start` like 512 would miss them.
    """
    first = start - start % every + every
    return sorted({start, *range(first, end, every), end})
