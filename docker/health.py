"""Whether the container is well, by what it is for: the health check of the image.

``GUNSHOT_ROLE`` says what it is for. Python's own library alone: it runs every few seconds beside the real work.
"""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

ADDRESSES = {
    "prefect-server": "http://127.0.0.1:4200/api/ready",  # answers when the database does
    "prefect-worker": "http://127.0.0.1:8080/health",  # fails when the worker has not asked for work for some time
    "dask-scheduler": "http://127.0.0.1:8787/health",
    "dask-worker": "http://127.0.0.1:8788/health",  # a worker ends with its scheduler, so one that answers has one
}


def main() -> int:
    """Ask, and say what is wrong.

    Returns
    -------
    int
        0 if all is well, else 1.
    """
    role = os.environ.get("GUNSHOT_ROLE", "")
    if not role:
        import gunshot  # noqa: F401  (that it can be loaded is all that can be asked)

        return 0
    if role not in ADDRESSES:
        print(f"GUNSHOT_ROLE must be one of {', '.join(ADDRESSES)}; got {role!r}")
        return 1
    try:
        with urlopen(ADDRESSES[role], timeout=8) as answer:  # noqa: S310  (one of the addresses above)
            return 0 if answer.status == 200 else 1
    except (URLError, OSError) as error:
        print(f"{role} does not answer at {ADDRESSES[role]}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
