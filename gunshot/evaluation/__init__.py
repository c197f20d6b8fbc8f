"""The specification of what a figure means: metrics, operating points and event matching.

Where do I go to ...?

- count right and wrong calls of clips, overall or by source: `gunshot.evaluation.metrics`
- draw a ROC, precision-recall or DET curve, hold a false-alarm budget: `gunshot.evaluation.curves`
- choose a threshold under a constraint on validation rows: `gunshot.evaluation.operating_point`
- compare detections in recordings with the true events: `gunshot.evaluation.matching`
- get an exact interval of a proportion or of a rate: `gunshot.evaluation.intervals`

Everything here is a pure function of arrays: no audio, no store, no model. Import from the modules: a worker
that only needs an operating point then does without scikit-learn.
"""
