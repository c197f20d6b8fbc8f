"""What a cluster profile may say, and how each kind of cluster is started."""
