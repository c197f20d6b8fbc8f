"""Adapt a trained network to a site: a few labelled shots, its own background, and nothing forgotten.

Conventions
-----------
`site` reads what the user has, `synthetic` makes clips from a seed, `held` takes rows of the store that the model was
trained on. `mixture` draws batches of all three, `checks` holds the old and the new model against each other, `adapt`
is the verb. What is fitted on and what is checked on never share a group or a recording.
"""
