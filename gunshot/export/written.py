"""What a format's writer tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gunshot.storage import join, write_bytes

__all__ = ["Written"]


@dataclass(slots=True)
class Written:
    """What was written below a folder; written + left out = selected.

    Attributes
    ----------
    out : str
        The folder.
    names : list of str
        Objects, relative to it.
    n_detections : int
        Detections in them.
    left_out : Counter
        Detections that the format cannot show, by reason.
    """

    out: str
    names: list[str] = field(default_factory=list)
    n_detections: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def write(self, name: str, content: bytes) -> None:
        """Write one object at once.

        Parameters
        ----------
        name : str
            Relative to the folder.
        content : bytes
            What.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        write_bytes(join(self.out, name), content)
        self.names.append(name)
