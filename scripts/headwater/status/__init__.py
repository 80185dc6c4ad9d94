"""How far an experiment is, from its files alone: no lock, nothing written.

jobs   which are done, by their outputs; which run, which failed, by their logs
queue  what SLURM says, in one bounded call
page   all of it as text
"""
