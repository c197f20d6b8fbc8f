"""Parameters of flows as Prefect's form shows and checks them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

__all__ = ["field"]


def field(description: str, **bounds: Any) -> Any:
    """Describe a parameter, and say what it may be.

    Parameters
    ----------
    description : str
        Shown in the form. Prefect reads descriptions from docstrings of another style and drops pydantic's own, but
        leaves what a schema has besides.
    **bounds
        Of `pydantic.Field`: ``ge``, ``le``, ``pattern``.

    Returns
    -------
    pydantic.fields.FieldInfo
        For `typing.Annotated`.
    """
    return Field(json_schema_extra={"description": description}, **bounds)
