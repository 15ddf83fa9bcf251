"""Objects of Kubernetes, the pods that they make, and the schemas of their kinds."""
