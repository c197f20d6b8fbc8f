"""Compile what librosa compiles on first use, once an installation: half a minute that each test process would spend.

Run with NUMBA_CACHE_DIR set; `tests/conftest.py` gives each process a copy of that folder.
"""

from __future__ import annotations

import librosa
import numpy as np

SR = 12_000

y = np.random.default_rng(0).standard_normal(SR).astype(np.float32)
librosa.resample(y, orig_sr=SR, target_sr=8000)
librosa.onset.onset_detect(y=y, sr=SR)
librosa.util.peak_pick(y, pre_max=3, post_max=3, pre_avg=3, post_avg=3, delta=0.1, wait=1)
