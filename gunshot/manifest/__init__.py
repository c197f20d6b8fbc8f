"""The manifest: one table that says what there is to preprocess."""
