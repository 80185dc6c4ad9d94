"""What a run on a SLURM cluster needs besides its jobs.

Before any job: the profile's mistakes, what SLURM would refuse, the jobs of a killed
earlier run. After a failure: what SLURM's logs say. All of it runs in Snakemake's main
process, once, and never in a job.
"""
