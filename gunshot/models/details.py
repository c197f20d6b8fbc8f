"""What is noted in a bundle after it was written.

Conventions: those of `gunshot.models.bundle`. A note changes neither weights nor thresholds, so the digest stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.card import write_card
from gunshot.storage import join, write_bytes

__all__ = ["note_details"]


def note_details(bundle: Bundle, notes: Mapping[str, Any]) -> Bundle:
    """Add what was found out about a model to its ``model.json``, and write its card anew.

    Parameters
    ----------
    bundle : Bundle
        As it was loaded.
    notes : mapping
        By name; one of that name takes the place of an earlier one. Plain data, as JSON takes it.

    Returns
    -------
    Bundle
        As a user would load it.

    Raises
    ------
    StorageError
        If it cannot be written.
    BundleError
        If a note takes the place of what a bundle is loaded by, and it is no bundle any more.
    """
    content = {**bundle.details, **notes}
    write_bytes(join(bundle.uri, "model.json"), json.dumps(content, indent=1).encode())
    noted = load_bundle(bundle.uri)
    write_card(noted)
    return noted
