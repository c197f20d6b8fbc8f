"""Prefect tasks: thin. They take and return addresses and small records, never arrays."""
