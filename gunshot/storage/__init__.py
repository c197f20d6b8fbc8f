"""URIs: open, list, write at once. The only module that knows fsspec and s3fs.

Conventions
-----------
A URI is a local path or anything that fsspec opens (``s3://bucket/key``). Local paths are handed round as
they are, without ``file://``. Writing is atomic: readers see the old object, or the whole new one. Credentials
and endpoints come from the environment's standard chain (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, profiles, roles).
"""

from gunshot.storage.access import FileInfo, explained, is_remote, join
from gunshot.storage.listing import list_files
from gunshot.storage.objects import delete_tree, exists, read_bytes, stat, write_bytes, zarr_store

__all__ = [
    "FileInfo",
    "delete_tree",
    "exists",
    "explained",
    "is_remote",
    "join",
    "list_files",
    "read_bytes",
    "stat",
    "write_bytes",
    "zarr_store",
]
