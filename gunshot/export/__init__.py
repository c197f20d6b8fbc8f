"""Results in the formats of the programs that people of the field work with.

`gunshot.export.run` is the entry: it selects detections (`selection`), gives each recording a name that is safe below
any folder (`names`), and lets one module a format write them.
"""
