"""Arms: which row stands at each position of the window, with what weight."""
