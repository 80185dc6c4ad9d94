"""When an arm is saved."""


def arm_schedule(start: int, end: int, every: int) -> list[int]:
    """Steps at which an arm is kept: every `every` steps from `start`, and `end`."""
    return sorted({*range(start, end, every), end})
