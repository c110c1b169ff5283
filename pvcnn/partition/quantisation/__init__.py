"""From a float graph to a program of integers."""
