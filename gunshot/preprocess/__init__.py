"""From recordings to rows of the store: one partition, its rows, and how a run of them is planned."""
