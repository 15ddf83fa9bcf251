"""Schemas of Kubernetes' kinds and of the custom kinds that overlays use, as `make schemas` derives them."""
