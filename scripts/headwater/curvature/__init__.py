"""EK-FAC factors of attention heads."""
