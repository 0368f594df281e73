"""The parts of the platform: plain arguments in, Kubernetes resources out."""
