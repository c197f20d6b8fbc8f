"""Models: how they are built and fitted, and the bundle in which they travel.

TensorFlow is imported by `gunshot.models.networks` and `gunshot.models.fit` alone; what scores recordings never
needs it.
"""
