"""The paper's experiment, done again: the same models on a set like its own, its table beside ours.

Where do I go to ...?

- what the paper reports, and where it says so: `gunshot.reproduction.paper`
- which rows of a store stand for its two sets: `gunshot.reproduction.likeset`
- train one cell, or find out whether it is done: `gunshot.reproduction.cells`
- gather cells into ``table.json``: `gunshot.reproduction.table`
- show that table as Markdown and as a page: `gunshot.reproduction.page`
"""
