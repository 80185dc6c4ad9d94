"""What to say of a damaged file of a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.errors import HeadwaterError

MAKE_AGAIN = "delete the checkpoint's folder and run again"
FETCH_AGAIN = "copy or fetch this revision again"  # of one that is the user's own


@contextmanager
def one_line_if_damaged(path: Path, advice: str = MAKE_AGAIN) -> Iterator[Path]:
    """Turn what reading a damaged file raises into one line that names it."""
    try:
        yield path
    except HeadwaterError:
        raise
    except Exception as error:  # readers of damaged files raise whatever they meet
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HeadwaterError(f"{path}: damaged ({reason}); {advice}") from error
