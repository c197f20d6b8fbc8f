"""Makes the stack's secrets: a password each for database, Redis, Prefect and the bucket, as files that the parts read.

``python3 docker/make_secrets.py [FOLDER]``. What is there stays as it is, so it may be run at every start. Python's own
library alone: it runs before there is an image.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"


def contents() -> dict[str, str]:
    """New secrets.

    Returns
    -------
    dict
        Contents by file name.
    """
    database, redis, user, key = (secrets.token_urlsafe(24) for _ in range(4))
    name = f"GUNSHOT{secrets.token_hex(6).upper()}"
    server = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://prefect:{database}@postgres:5432/prefect",
        "PREFECT_SERVER_API_AUTH_STRING": f"admin:{user}",
        "PREFECT_API_AUTH_STRING": f"admin:{user}",  # the server's own services are its clients
        "PREFECT_SERVER_DOCKET_URL": f"redis://:{redis}@redis:6379/1",
    }
    keys = [{"accessKey": name, "secretKey": key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {
        "postgres_password": database,
        "redis_password": redis,  # for the server (docker/serve.py)
        "redis.conf": f"requirepass {redis}\ndir /data\nappendonly yes\nprotected-mode yes\nbind 0.0.0.0\n",
        "prefect_server.toml": _profile(server),
        "prefect_client.toml": _profile({"PREFECT_API_AUTH_STRING": f"admin:{user}"}),
        "prefect_login": f"admin:{user}\n",
        "s3_keys.json": json.dumps({"identities": [{"name": "gunshot", "credentials": keys, "actions": actions}]}),
        "s3_credentials": f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {key}\n",
    }


def _profile(settings: dict[str, str]) -> str:
    """As Prefect reads its settings from a file; TOML writes strings as JSON does."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(['active = "stack"', "", "[profiles.stack]", *lines, ""])


def write(folder: Path) -> bool:
    """Write them, if they are not there.

    Parameters
    ----------
    folder : Path
        Where to.

    Returns
    -------
    bool
        Whether they are new.

    Raises
    ------
    SystemExit
        If some are there and some are not: half of a set would not fit new halves.
    """
    made = contents()
    there = [name for name in made if (folder / name).exists()]
    if len(there) == len(made):
        return False
    if there:
        missing = ", ".join(name for name in made if name not in there)
        sys.exit(f"{folder} has some secrets, but not {missing}: bring these back, or remove the folder for new ones")
    # nobody but its owner enters the folder; the files are mounted one by one, and read there by users of other numbers
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, text in made.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o444)
    return True


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(
        f"{'made' if write(place) else 'kept'} the secrets in {place}; the login of the Prefect UI is in prefect_login"
    )
