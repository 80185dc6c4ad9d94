"""What each run's checkpoints can do, and how arms differ from the baseline."""
