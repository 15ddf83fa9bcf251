"""The schemas of Kubernetes' kinds and of the custom kinds that overlays use, which `make schemas` generates."""
