"""Where and how a training run is executed: here, by several ranks, or by SLURM."""
