"""Kubernetes objects, the pods that they create, and the schemas of their kinds."""
