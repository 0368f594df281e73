"""The steps that turn a bare machine into one that runs the platform: tools, a local Kubernetes node, images."""
