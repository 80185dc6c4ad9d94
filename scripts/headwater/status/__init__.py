"""How far an experiment is, from its files alone: no lock, nothing written.

done   which jobs have left their outputs
jobs   which run, which failed, by their logs
queue  what SLURM says, in one bounded call
page   all of it as text
"""
