"""Copies of a bundle with another default operating point.

Conventions: those of `gunshot.models.bundle`. A copy has its own digest, hence its own rows in the ledger.
"""

from __future__ import annotations

import hashlib

from gunshot.errors import BundleError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.bundle import Bundle, save_bundle
from gunshot.models.scorers import weights_name
from gunshot.storage import join, read_bytes

__all__ = ["copy_bundle"]

_OWN_ENTRIES = frozenset(
    ("format", "model", "classes", "digest", "recipe", "recipe_digest", "weights", "default", "operating_points")
) | {"digests", "calibration", "validation_rows", "golden_scores", "network", "champion"}


def copy_bundle(bundle: Bundle, uri: str, operating_point: OperatingPoint) -> Bundle:
    """Write a copy of a bundle with another default operating point, such as one refitted to a site.

    Parameters
    ----------
    bundle : Bundle
        The model.
    uri : str
        The copy's folder, another than the bundle's.
    operating_point : OperatingPoint
        The copy's default; the others are kept.

    Returns
    -------
    Bundle
        The copy, as a user would load it.

    Raises
    ------
    BundleError
        If it would overwrite the bundle, or the bundle has changed since it was loaded.
    StorageError
        If it cannot be written.
    """
    if uri.rstrip("/") == bundle.uri.rstrip("/"):
        raise BundleError(f"{uri}: a copy with another threshold needs a folder of its own")
    weights = read_bytes(join(bundle.uri, weights_name(bundle.name)))
    if hashlib.sha256(weights).hexdigest() != bundle.details["weights"]["sha256"]:
        raise BundleError(f"{bundle.uri}: the weights have changed since they were loaded; copy again")
    return save_bundle(
        uri, model=bundle.name, weights=weights, recipe=bundle.recipe, operating_point=operating_point,
        details={name: value for name, value in bundle.details.items() if name not in _OWN_ENTRIES},
        splits=read_bytes(join(bundle.uri, "splits.parquet")), operating_points=bundle.operating_points,
        calibration=bundle.calibration, validation=bundle.validation_rows(),
        network=bundle.network() if bundle.details.get("network") else None,
    )  # fmt: skip
