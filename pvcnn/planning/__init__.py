"""What every cut of a model costs and gives away, before one is chosen."""
