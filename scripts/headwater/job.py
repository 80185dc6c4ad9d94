"""What every rule's script does around its work.

    with job.start(snakemake) as config:
        ...

sets up logging (the rule's log file and stderr), fixes torch's threads, refuses inputs
that are not what was written and records what the outputs hold (`seals`), has a job of
SLURM that is pre-empted requeued, and turns a `HeadwaterError` into one line and exit
code 1.
"""

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from headwater import seals
from headwater.errors import HeadwaterError
from headwater.logs import ERROR, QUIET, configure_logging, logger
from headwater.preemption import requeued


@contextlib.contextmanager
def start(snakemake: Any, beside: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """Run a rule's body; yields the whole validated config.

    `snakemake.made_of` then has the digest of every input.

    Args:
        snakemake: the object Snakemake injects into scripts (or a stand-in).
        beside: inputs on whose content the outputs do not depend.
    """
    log = Path(snakemake.log[0])
    try:
        configure_logging(log, quiet=QUIET in os.environ)
    except OSError as error:
        reason = f"cannot write ({error.strerror}); free space or mend the folder"
        sys.exit(f"{ERROR}{log}: {reason}, then run the same command again")
    try:
        fix_threads(int(snakemake.threads))
        outputs = [Path(path) for path in snakemake.output]
        for path in outputs:
            seals.seal_of(path).unlink(missing_ok=True)
        results = Path("results", snakemake.config["experiment"])
        made_of = seals.inputs(snakemake.input, results)
        snakemake.made_of = dict(made_of)
        with requeued():
            yield snakemake.config
        for name in beside:
            del made_of[str(name)]
        stage = log.with_suffix("").parts[-2:]
        for path in outputs:
            seals.write(path, made_of, "/".join(stage))
    except HeadwaterError as error:
        logger.error("%s%s", ERROR, error)
        sys.exit(1)
    except Exception:
        logger.error("%s", traceback.format_exc())
        if QUIET in os.environ:
            sys.exit(1)
        raise
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def fix_threads(count: int) -> None:
    """Fix the numeric libraries' threads: results must not vary with `--cores`."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)
        _keep_freed_memory()


def _keep_freed_memory() -> None:
    # By default glibc gives every freed megabyte back to the kernel, and a training
    # step then spends a tenth of its time on page faults. Other C libraries lack it.
    mmap_threshold, trim_threshold = -3, -1
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, 1 << 30)


def device() -> Any:
    """The GPU if there is one, else the CPU (a `torch.device`)."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
