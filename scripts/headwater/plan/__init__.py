"""What an experiment will cost, from its config and what earlier runs measured."""
