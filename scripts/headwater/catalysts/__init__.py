"""What the rows of highest score have in common, and rows written afresh like them."""
