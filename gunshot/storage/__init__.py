"""URIs: open, list, write at once. The only package that knows fsspec and s3fs.

Conventions
-----------
A URI is a local path or anything that fsspec opens (``s3://bucket/key``). Local paths are handed round as
they are, without ``file://``. Writing is atomic: readers see the old object, or the whole new one. Credentials
and endpoints come from the environment's standard chain (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, profiles, roles).
"""

from gunshot.storage.access import FileInfo, absolute, explained, is_remote, join
from gunshot.storage.lease import Lease, lease
from gunshot.storage.listing import identity, list_files, list_folders
from gunshot.storage.objects import (
    create_bytes,
    delete,
    delete_leftovers,
    delete_tree,
    exists,
    read_bytes,
    stat,
    sync,
    write_bytes,
    zarr_store,
)
from gunshot.storage.together import read_all

__all__ = [
    "FileInfo",
    "Lease",
    "absolute",
    "create_bytes",
    "delete",
    "delete_leftovers",
    "delete_tree",
    "exists",
    "explained",
    "identity",
    "is_remote",
    "join",
    "lease",
    "list_files",
    "list_folders",
    "read_all",
    "read_bytes",
    "stat",
    "sync",
    "write_bytes",
    "zarr_store",
]
