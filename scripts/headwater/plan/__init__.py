"""What an experiment will cost, from its config alone, and what earlier runs measured.

experiment  a config, its sources and its window
dag         every rule once: jobs, outputs, work
shape       arithmetic of the model: parameters, operations, what is stored of a head
sizes       bytes and files of each rule's outputs
work        seconds of each rule's jobs, from stated assumptions
rates       seconds of a unit of work, from the logs of earlier jobs
limits      what will not fit, and gradient shards not worth scheduling
estimate    seconds of every rule, measured or assumed
table       stages as lines: on the terminal and as TSV
words       what a plan rests on
ranges      low-high ranges
"""
