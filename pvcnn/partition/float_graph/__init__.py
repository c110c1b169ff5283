"""Float layers as a directed acyclic graph: what every import makes and every cut starts from."""
