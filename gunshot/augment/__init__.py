"""Distorted copies of training clips, drawn from seeds."""
