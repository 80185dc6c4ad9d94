"""Text or token ids in, token rows in training order out."""
