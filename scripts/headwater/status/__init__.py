"""How far an experiment is, from its files alone: no lock, nothing written."""
