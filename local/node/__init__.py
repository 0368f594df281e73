"""A real single-node Kubernetes in a network and mount namespace of its own."""
