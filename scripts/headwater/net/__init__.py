"""Over the network: addresses, bytes, tries, and what goes wrong, in words."""
