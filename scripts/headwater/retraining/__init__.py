"""Retraining of arms from the window's start."""
