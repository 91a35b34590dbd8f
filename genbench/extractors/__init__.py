"""Maps from samples to the spaces in which metrics measure; each is called as ``factory(event_shape=, device=)``."""
