"""A real SLURM of several nodes on one machine, for the cluster tests.

    python tests/cluster/lab up      # as root on Debian; prints where it lives
    python tests/cluster/lab down

Everything is in one folder, but for two links, `/etc/slurm/slurm.conf` and
`/etc/slurm/gres.conf`, which the commands inside jobs need. All ports are of 127.0.0.1.
"""
