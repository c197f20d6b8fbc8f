"""Sounds from physics, corpora and archives from seeds.

`write_corpus` makes labelled clips, `write_archive` long recordings with planted sounds. Both are pure
functions of a seed, and all they write is marked synthetic: no figure on it is accuracy on real sound.
"""

from __future__ import annotations

from gunshot.synthetic.archive import write_archive
from gunshot.synthetic.audiofiles import AudioFormat
from gunshot.synthetic.corpus import write_corpus

__all__ = ["AudioFormat", "write_archive", "write_corpus"]
