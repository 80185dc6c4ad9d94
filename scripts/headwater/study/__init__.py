"""Studies: several experiments that differ in one thing, run and judged together."""
