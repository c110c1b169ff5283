"""From a torch module to a float graph."""
