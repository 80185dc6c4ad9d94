"""The trainer, and the runs made with it: the baseline and the arms."""
