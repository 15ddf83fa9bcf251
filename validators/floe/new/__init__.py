"""`floe new` and `floe remove`: environments and apps that are made from another one, and their removal."""
