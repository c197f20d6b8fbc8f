"""What runs the flows day after day: a server with its workers, the deployments on it, checks and metrics."""
