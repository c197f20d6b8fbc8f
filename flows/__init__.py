"""Prefect flows, the Dask cluster they run on, and the command line."""
