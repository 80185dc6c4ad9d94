"""Scores of heads at checkpoints, and the choice of targets and window."""
