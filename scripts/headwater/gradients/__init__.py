"""Per-row gradients of attention heads, all heads in one pass."""
