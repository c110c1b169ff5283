"""One aggregate over campaigns of several models."""
