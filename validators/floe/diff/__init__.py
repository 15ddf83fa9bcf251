"""`floe diff`: what a change does to the objects that an environment renders to."""
