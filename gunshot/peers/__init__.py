"""Other systems, measured on the rows that our models are measured on."""
