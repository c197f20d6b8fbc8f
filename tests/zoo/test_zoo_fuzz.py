"""Damage by chance: whatever is in a file, decoding it ends soon, in a state, and without taking the process along."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.zoo.build import encoded, flipped, sound

N_EACH = 75
HEADER_BYTES = 200

# run apart: a decoder that crashes must not take the tests with it
DECODE = """
import faulthandler, json, resource, sys
faulthandler.enable()
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from gunshot.audio.decode import Recording
from gunshot.clips import Segment, clip_of_segment
from gunshot.errors import AudioError
from gunshot.recipe import Recipe
recipe = Recipe()
for line in sys.stdin:
    path = json.loads(line)
    print(json.dumps(["begun", path]), flush=True)
    try:
        with Recording(path) as recording:
            clip_of_segment(recording, Segment(), recipe)
            for _ in recording.blocks(30 * recording.header.sr):
                pass
        state = "short" if recording.defect else "ok"
    except AudioError as error:
        assert error.reason and "\\n" not in error.reason, error.reason
        state = error.state
    print(json.dumps(["ended", state]), flush=True)
"""

FORMATS = {
    "flac": ("FLAC", "PCM_16", 12_000),
    "mp3": ("MP3", "MPEG_LAYER_III", 22_050),
    "ogg": ("OGG", "VORBIS", 16_000),
    "opus": ("OGG", "OPUS", 12_000),
    "wav": ("WAV", "PCM_16", 12_000),
    "adpcm": ("WAV", "IMA_ADPCM", 12_000),
    "aiff": ("AIFF", "PCM_16", 12_000),
    "w64": ("W64", "PCM_24", 12_000),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", FORMATS)
def test_bits_flipped_by_chance_end_in_a_state(kind: str, tmp_path: Path) -> None:
    container, subtype, sr = FORMATS[kind]
    rng = np.random.default_rng(sum(kind.encode()))
    whole = encoded(sound(rng, sr=sr), container, subtype, sr=sr)
    paths = []
    for number in range(N_EACH):
        # half of them in the header, which says most; half anywhere
        n_bytes = min(HEADER_BYTES, len(whole)) if number % 2 else len(whole)
        bits = rng.integers(0, 8 * n_bytes, rng.integers(1, 6))
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(flipped(whole, *map(int, bits)))
        paths.append(str(path))
    asked = "".join(json.dumps(path) + "\n" for path in paths)
    ended = subprocess.run([sys.executable, "-c", DECODE], input=asked, capture_output=True, text=True, timeout=240)
    # decoders write warnings of their own between the lines
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('["')]
    begun = [what for word, what in said if word == "begun"]
    states = Counter(what for word, what in said if word == "ended")
    assert ended.returncode == 0, f"{begun[-1:]}: {ended.stderr[-2000:]}"
    assert begun == paths
    assert states.total() == N_EACH
    assert set(states) <= {"ok", "short", "empty", "silent", "unreadable"}
    assert states["ok"] < N_EACH  # the damage reaches the decoder
