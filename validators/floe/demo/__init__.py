"""The live demo: the platform on this machine, with data moving through it."""
