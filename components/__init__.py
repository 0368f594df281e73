"""The parts of the platform, each with its settings beside it: settings in, Kubernetes resources out."""
