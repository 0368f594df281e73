"""What turns a bare machine into one that runs the platform: tools, a local Kubernetes node, images."""
