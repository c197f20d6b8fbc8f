"""The results: tables that are also the ledger.

Conventions
-----------
::

    RESULTS/
      detections/<batch>.parquet   a row a detection, written first
      candidates/<batch>.parquet   a row a candidate from the rule's floor on, or of its sample, where it has one
      recordings/<batch>.parquet   a row a recording, written last: the ledger

A recording is done when its row for this content, model, recipe and rule exists in ``recordings/`` and judges it, or
when runs enough have tried it (`gunshot.scoring.results.tries`); there is no other memory. A batch's name follows from
what is in it and from how often that was tried, so the same batch scored again overwrites itself. An object
``merged-*`` stands for several batches and names them; those count no more, whether they are still there or not. What
has no object in ``recordings/`` does not count either. Times are seconds, or UTC.
A detection's probability is its best clip's, calibrated (`gunshot.evaluation.calibration`), for the share of gunshots
of the rows that the model was calibrated on; it is null in results written before there was one.
"""

from gunshot.scoring.results.csvfiles import write_csv
from gunshot.scoring.results.ledger import LedgerCounts, count_listed, done_keys, known_keys
from gunshot.scoring.results.schemas import (
    CANDIDATE_SCHEMA,
    DETECTION_SCHEMA,
    KINDS,
    RECORDING_SCHEMA,
    RETRIED_STATES,
    Kind,
)
from gunshot.scoring.results.tables import find_batch, read_table, write_batch
from gunshot.scoring.results.tries import endings

__all__ = [
    "CANDIDATE_SCHEMA",
    "DETECTION_SCHEMA",
    "KINDS",
    "RECORDING_SCHEMA",
    "RETRIED_STATES",
    "Kind",
    "LedgerCounts",
    "count_listed",
    "done_keys",
    "endings",
    "find_batch",
    "known_keys",
    "read_table",
    "write_batch",
    "write_csv",
]
