"""What to say of a damaged file of a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.errors import HeadwaterError, again
from headwater.unreadable import unreadable

FETCH_AGAIN = "copy or fetch this revision again"


@contextmanager
def one_line_if_damaged(path: Path, own: bool = True) -> Iterator[Path]:
    """Turn what reading a damaged file raises into one line that names it.

    Args:
        own: whether the checkpoint is a result of Headwater's, and not the user's.
    """
    try:
        yield path
    except HeadwaterError:
        raise
    except Exception as error:  # readers of damaged files raise whatever they meet
        raise unreadable(path, error, again(path.parent) if own else "") from error
