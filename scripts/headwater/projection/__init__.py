"""What is kept of a gradient: coordinates, codes, stores."""
