"""When and where a recording began: what its header, its name and the user's table of deployments say.

Conventions
-----------
Times are UTC. Nothing is assumed silently: each time carries how it was known, the text that it was read from, and how
far it may be off. `docs/timestamps.md` has the order in which sources are believed.
"""

from gunshot.scoring.timestamps.deployments import Deployment, Deployments, load_deployments
from gunshot.scoring.timestamps.metadata import NO_METADATA, RecorderMetadata, read_metadata
from gunshot.scoring.timestamps.start import RecordingStart, recording_start

__all__ = [
    "NO_METADATA",
    "Deployment",
    "Deployments",
    "RecorderMetadata",
    "RecordingStart",
    "load_deployments",
    "read_metadata",
    "recording_start",
]
