"""The specification of what a figure means: metrics, operating points and event matching.

Where do I go to ...?

What is reported (docs/evaluation.md defines each figure):

- make all figures of the rows of one split: `gunshot.evaluation.reported`, from the columns of
  `gunshot.evaluation.reported_rows`
- count right and wrong calls of clips: `gunshot.evaluation.metrics`
- the same by source, device, firearm, level, rate or distance: `gunshot.evaluation.breakdown`
- draw a ROC, precision-recall or DET curve, hold a false-alarm budget: `gunshot.evaluation.curves`
- compare models by the recall at one false-alarm rate: `gunshot.evaluation.fixed_fpr`
- see whether probabilities come true: `gunshot.evaluation.reliability`
- see which other sounds raise false alarms: `gunshot.evaluation.confusers`
- turn rates into false alarms a day and the precision to expect: `gunshot.evaluation.rates`
- list the worst misses and false alarms: `gunshot.evaluation.mistakes`
- tell sounds that training has met from new ones: `gunshot.evaluation.open_set`
- hold a whole source out, and count on it: `gunshot.evaluation.leave_out`
- estimate how far a clip's sound stands out: `gunshot.evaluation.level`
- compare detections in recordings with the true events: `gunshot.evaluation.matching`, whose pairing is
  `gunshot.evaluation.alignment`

How sure it is:

- get an exact interval of a proportion or of a rate: `gunshot.evaluation.intervals`
- get an interval whose trials are groups: `gunshot.evaluation.bootstrap`
- bound what holds for groups not yet seen: `gunshot.evaluation.guarantees`

How a threshold and a probability come about:

- read what a user asks of a threshold: `gunshot.evaluation.rules`
- choose a threshold under a constraint on validation rows: `gunshot.evaluation.operating_point`
- choose it with its guarantee: `gunshot.evaluation.choice`
- choose it on a site's own background: `gunshot.evaluation.site_threshold`
- turn a score into a probability: `gunshot.evaluation.calibration`

Whether a model hears the shot, or the recorder:

- audit a model: `gunshot.evaluation.audit`; in words: `gunshot.evaluation.audit_report`
- measure shortcuts, take the onset out of clips: `gunshot.evaluation.shortcuts`
- see what a random split gains over one by group: `gunshot.evaluation.splitgap`

Labels and scores are checked in `gunshot.evaluation.rows`. Everything here is a pure function of arrays and tables: no
audio, no store, no model. Import from the modules: a worker that only needs an operating point then does without
scikit-learn.
"""
