"""How far an experiment is: stages, running jobs, failures. Disturbs nothing.

    .venv/bin/python scripts/status.py --configfile config/mine.yaml

Reads logs and the names of results only, takes no lock, and asks SLURM once, in a
run on SLURM. Works before, during and after a run.
"""

import signal
import sys
import time
from pathlib import Path

from headwater.cluster.orphans import record_path
from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.logs import escape_unprintable
from headwater.options import Options
from headwater.plan.dag import count_jobs
from headwater.plan.estimate import Folders, experiment_of
from headwater.status.jobs import done_jobs, unfinished
from headwater.status.page import render, stages
from headwater.status.queue import queue_lines
from headwater.status.study import member_lines


def main():
    escape_unprintable()
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument("--configfile", default="config/config.yaml")
    config = read_config_file(parser.parse_args().configfile)
    folders = Folders.of(config["experiment"])
    experiment = experiment_of(config, Path())
    counts = count_jobs(experiment)
    jobs = unfinished(folders, time.time())
    done = done_jobs(experiment, folders.results)
    print(f"{config['experiment']}: {sum(done.values()):,} jobs done\n")
    rows = stages(counts, done, jobs, folders)
    # Written while a run on SLURM lasts, and left where one was killed.
    on_slurm = record_path(config["experiment"]).exists()
    print(render(rows, jobs, queue_lines(Path.cwd()) if on_slurm else []))
    for line in member_lines(config, time.time()):
        print(line)


if __name__ == "__main__":
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
