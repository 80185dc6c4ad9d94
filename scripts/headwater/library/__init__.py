"""The library for notebooks: a finished run as tables, read from its files alone.

Neither the config's file nor a checkout is needed, and neither Snakemake nor torch is
imported: what a run was made with stands in its results (`stamps`). Files are read when
they are asked for, and checked as the workflow checks them.
"""
