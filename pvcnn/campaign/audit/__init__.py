"""Doing again what owner and cluster say that they did."""
