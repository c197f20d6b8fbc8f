"""A person looks at detections, listens and decides; and what is learned from the decisions.

Where do I go to ...?

- see what a decision is: `gunshot.review.decisions`; where it is kept: `gunshot.review.decision_log`
- change what stands in the queue, and in which order: `gunshot.review.queue`
- change pictures and sound: `gunshot.review.sounds`
- change what the page may ask for: `gunshot.review.session`, `gunshot.review.server`; the page itself: ``page/``
- make a label table of decisions: `gunshot.review.labels`; precision and recall in service: `gunshot.review.service`
"""

from gunshot.review.decision_log import read_decisions
from gunshot.review.decisions import Decision
from gunshot.review.labels import LabelCounts, write_label_table
from gunshot.review.service import ServiceFigures, service_figures

__all__ = [
    "Decision",
    "LabelCounts",
    "ServiceFigures",
    "read_decisions",
    "service_figures",
    "write_label_table",
]
