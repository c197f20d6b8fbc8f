"""Public data sets for people with a network: what there is, and how it gets on disk as a label table.

Where do I go to ...?

- see what can be fetched, its size and licence: `available` and `describe` in `gunshot.datasets.catalogue`
- download, verify, unpack and label one set: `fetch_dataset` in `gunshot.datasets.fetch`
- how a download resumes and when it gives up: `gunshot.datasets.download`
- unpack an archive that nobody vouches for: `gunshot.datasets.unpack`
- turn a publisher's folder into label rows: `gunshot.datasets.layouts`; the table itself:
`gunshot.datasets.labels`

Nothing here prints. Nothing is sent anywhere but the request for the archive.
"""

from gunshot.datasets.catalogue import CATALOGUE, Checksum, Dataset, available, describe, find_dataset
from gunshot.datasets.download import Retry
from gunshot.datasets.fetch import fetch_dataset, is_fetched
from gunshot.datasets.labels import COLUMNS, LabelRow

__all__ = [
    "CATALOGUE",
    "COLUMNS",
    "Checksum",
    "Dataset",
    "LabelRow",
    "Retry",
    "available",
    "describe",
    "fetch_dataset",
    "find_dataset",
    "is_fetched",
]
