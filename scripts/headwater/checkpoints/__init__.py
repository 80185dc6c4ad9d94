"""Checkpoints: the model, its optimizer, the trainer that makes them."""
