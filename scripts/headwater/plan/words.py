"""What a plan rests on, in words."""

from headwater.plan.estimate import MEASURED, Folders, found_window
from headwater.plan.experiment import SHORTEST_WINDOW
from headwater.plan.limits import range_text
from headwater.plan.rates import MARGIN
from headwater.plan.shape import Config
from headwater.plan.work import CPU, DISK, GPU_FLOAT32, GPU_HALF

TERA, GIGA, MEGA = 1e-12, 1e-9, 1e-6
_MEASURED = (
    "- measured: seconds of a row, step or checkpoint from the logs of this "
    f"experiment's earlier jobs, {range_text(MARGIN)} times as long"
)


def assumptions(config: Config, folders: Folders, gpu: bool, bases: set[str]) -> str:
    """The assumptions behind a plan, a line each; `bases` of the times of its rules."""
    lines = [
        f"- a CPU core does {range_text(CPU * GIGA)} GFLOP/s, a disk "
        f"{range_text(DISK * MEGA)} MB/s",
        _device(gpu),
        _window(config, folders),
        *([_MEASURED] if MEASURED in bases else []),
        "- hours are those that jobs hold their threads and GPUs, without the queue's",
    ]
    return "\n".join(["Assumed:", *lines])


def _device(gpu: bool) -> str:
    if not gpu:
        return (
            "- no GPU is here, so all jobs run on CPUs; for a GPU cluster: "
            "snakemake --profile profiles/slurm --executor local plan"
        )
    return (
        f"- a GPU does {range_text(GPU_FLOAT32 * TERA)} TFLOP/s in float32 and "
        f"{range_text(GPU_HALF * TERA)} in bf16 or fp16; small models are at the "
        "low end"
    )


def _window(config: Config, folders: Folders) -> str:
    start, end = config["window"]["start"], config["window"]["end"]
    if "auto" not in (start, end):
        return f"- the window is steps {start} to {end}, from the config"
    if found := found_window(folders):
        start, end = found
        return f"- the window is steps {start} to {end}, as an earlier run found"
    return (
        f"- the window is still to be found: {SHORTEST_WINDOW:.0%} to all of the steps "
        "it may have"
    )
