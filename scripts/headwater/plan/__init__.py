"""What an experiment will cost, from its config alone, and what earlier runs measured.

spans   low-high ranges
shape   arithmetic of the model: parameters, operations, what is stored of a head
jobs    how many jobs of each rule
sizes   bytes and files of each rule's outputs
work    seconds of each rule's jobs, from stated assumptions
rates   seconds of a unit of work, from the logs of earlier jobs
limits  what will not fit, and gradient shards not worth scheduling
table   stages as lines: on the terminal and as TSV
"""
