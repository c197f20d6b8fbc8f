"""A point on the map for each detection, as RFC 7946 writes it.

Conventions
-----------
Positions are longitude, latitude in degrees (WGS 84). Members that RFC 7946 does not know are allowed by its section
6.1: ``not_placed`` counts the detections whose recorder's place is not known.
"""

from __future__ import annotations

import json
import math

from gunshot.export.cells import iso
from gunshot.export.selection import Row, Selection, rows
from gunshot.export.written import Written

__all__ = ["write_geojson"]

_PLACE_DECIMALS = 6  # 0.1 m, what RFC 7946 (section 11.2) calls enough
_PROPERTIES = (
    "path", "uri", "channel", "start_s", "end_s", "start_utc", "time_source", "time_uncertainty_s", "site", "recorder",
    "n_shots", "shots_s", "score", "probability", "threshold", "model", "model_digest", "recipe_digest",
)  # fmt: skip


def write_geojson(selection: Selection, out: str) -> Written:
    """Write ``detections.geojson``.

    Parameters
    ----------
    selection : Selection
        What is exported.
    out : str
        Where.

    Returns
    -------
    Written
        Detections without a place are left out, and counted.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    written, features = Written(out), []
    for row in rows(selection.detections):
        point = _point(row)
        if isinstance(point, str):
            written.left_out[point] += 1
        else:
            features.append({"type": "Feature", "geometry": point, "properties": _properties(row)})
    content = {"type": "FeatureCollection", "features": features, "not_placed": dict(written.left_out)}
    written.write("detections.geojson", (json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n").encode())
    written.n_detections = len(features)
    return written


def _point(row: Row) -> dict[str, object] | str:
    """Where, or why that is not known."""
    longitude, latitude = row.get("longitude"), row.get("latitude")
    if longitude is None or latitude is None:
        return "place not known"
    if not (math.isfinite(longitude) and math.isfinite(latitude) and abs(longitude) <= 180 and abs(latitude) <= 90):
        return "place not on Earth"
    return {"type": "Point", "coordinates": [round(longitude, _PLACE_DECIMALS), round(latitude, _PLACE_DECIMALS)]}


def _properties(row: Row) -> Row:
    found = {name: row[name] for name in _PROPERTIES if name in row}
    numbers = {name: round(value, 6) for name, value in found.items() if isinstance(value, float)}
    return found | numbers | {"start_utc": iso(row.get("start_utc")) or None}
