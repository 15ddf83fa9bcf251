"""`floe diff`: show how a change affects the rendered objects of an environment."""
