"""Makes the certificates by which the parts of Dask know each other; run in the image, once.

``python certificates.py FOLDER`` writes ``ca.pem``, ``cert.pem`` and ``key.pem`` into FOLDER/scheduler, FOLDER/worker
and FOLDER/client. The key that signs them is written nowhere: nobody can make another one that is trusted. When they
have less than a month left, all are made anew; then restart the parts.
"""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ROLES = ("scheduler", "worker", "client")
VALID = datetime.timedelta(days=730)
RENEW = datetime.timedelta(days=30)


def are_good(folder: Path) -> bool:
    """Whether every role has a certificate that lasts.

    Parameters
    ----------
    folder : Path
        With a folder for each role.

    Returns
    -------
    bool
        Also whether all were signed by one authority.
    """
    authorities = set()
    for role in ROLES:
        files = [folder / role / name for name in ("ca.pem", "cert.pem", "key.pem")]
        if not all(file.exists() for file in files):
            return False
        authorities.add(files[0].read_bytes())
        ends = x509.load_pem_x509_certificate(files[1].read_bytes()).not_valid_after_utc
        if ends - datetime.datetime.now(datetime.UTC) < RENEW:
            return False
    return len(authorities) == 1


def make(folder: Path) -> None:
    """Make them all.

    Parameters
    ----------
    folder : Path
        With a folder for each role, or where these are made.
    """
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("gunshot stack", ca_key, "gunshot stack", ca_key, is_ca=True)
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        place = folder / role
        place.mkdir(parents=True, exist_ok=True)
        _write(place / "ca.pem", ca.public_bytes(Encoding.PEM))
        _write(
            place / "cert.pem",
            _certificate(f"dask-{role}", key, "gunshot stack", ca_key, is_ca=False).public_bytes(Encoding.PEM),
        )
        _write(place / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, by: str, ca_key: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # for a clock that is behind
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )


def _write(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(content)
    new.replace(path)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if are_good(place):
        print("kept the certificates")
    else:
        make(place)
        print(f"made certificates for {', '.join(ROLES)}, good for {VALID.days} days")
