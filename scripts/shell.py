"""Open the script of any job in a Python shell, with the job's inputs as it gets them.

    .venv/bin/python scripts/shell.py results/laptop/curvature/start.h5
    make shell FILE=results/mine/influence/induction.tsv CONFIG=config/mine.yaml

The file names the job that makes it; it need not be there. The script's functions are
defined, nothing has run: `main(snakemake)` runs the job and publishes its outputs.
"""

import ast
import code
import os
import readline
import rlcompleter  # noqa: F401 (completion by tab)
import sys
from pathlib import Path
from types import SimpleNamespace

from headwater.config import read_config_file
from headwater.errors import HeadwaterError
from headwater.options import Options
from headwater.suggestions import suggestion

ROOT = Path(__file__).resolve().parent
INJECTED = ("input", "output", "params", "wildcards", "threads", "resources", "log")


def jobs_for(file, configfile):
    """All jobs on the way to a file, and the workflow's config."""
    from snakemake.api import SnakemakeApi  # slow to import
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        made = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[configfile]),
            snakefile=ROOT.parent / "workflow" / "Snakefile",
        )
        made.dag(DAGSettings(targets={file}, forcetargets=True))
        workflow = made._workflow  # as PyPSA-Eur does: the API has no jobs
        workflow._prepare_dag(False, True, True, nolock=True)
        workflow._build_dag()
        return list(workflow.dag.jobs), workflow.config


def job_of(file, configfile):
    """The job that makes a file, as its script sees it; and the script.

    Raises:
        HeadwaterError: no rule makes it, or a rule without a script.
    """
    try:
        jobs, config = jobs_for(file, configfile)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.partition(" (")[0]
        raise HeadwaterError(f"{file}: no job makes it ({reason})") from error
    made = {output: job for job in jobs for output in job.output}
    if file not in made:
        hint = suggestion(file, made, "; name a file of results/, not a target")
        raise HeadwaterError(f"{file}: no job makes it{hint}")
    job = made[file]
    given = {name: getattr(job, name) for name in INJECTED}
    snakemake = SimpleNamespace(rule=job.rule.name, config=config, **given)
    return snakemake, Path(job.rule.basedir) / job.rule.script


def definitions(script, snakemake):
    """What a script defines, with the job injected; its last line has not run."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    tree.body.pop()  # main(snakemake)
    found = {"__name__": "__shell__", "__file__": str(script), "snakemake": snakemake}
    exec(compile(tree, str(script), "exec"), found)
    return found


def main():
    parser = Options(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", help="under results/, such as a job makes it")
    parser.add_argument("--configfile", default="config/config.yaml", type=Path)
    args = parser.parse_args()
    read_config_file(str(args.configfile))  # before Snakemake, to say what is wrong
    snakemake, script = job_of(args.file.rstrip("/"), args.configfile)
    missing = [path for path in snakemake.input if not os.path.exists(path)]
    lines = [
        f"{snakemake.rule}: {os.path.relpath(script)} with {len(snakemake.input)} "
        "inputs in `snakemake`; `main(snakemake)` runs the job.",
        *(f"not there yet: {path}" for path in missing),
    ]
    readline.parse_and_bind("tab: complete")
    code.interact("\n".join(lines), local=definitions(script, snakemake), exitmsg="")


if __name__ == "__main__":
    try:
        main()
    except HeadwaterError as error:
        sys.exit(f"error: {error}")
