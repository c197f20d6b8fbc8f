# %% [markdown]
# # Gunshots in a notebook
# Open this file in Jupyter (with Jupytext), VS Code or PyCharm: each `# %%` begins a cell. It runs as a script too.

# %%
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import soundfile as sf

import gunshot
from gunshot.synthetic import write_archive

folder = Path(mkdtemp())

# %% [markdown]
# Sound to try: a minute with planted shots, made from acoustics. Take a recording of your own instead.

# %%
evening = datetime(2026, 11, 22, 18, tzinfo=UTC)
write_archive(folder, n_recordings=1, duration_s=60.0, n_shots=8, n_confusers=4, sr=24_000, start=evening, seed=1)
recording = next(folder.glob("*.WAV"))

# %% [markdown]
# A model, with the operating point that is its default. `load_bundle("models/mine", "miss 1%")` takes another.

# %%
bundle = gunshot.load_bundle("field")
print(bundle.name, bundle.operating_point.threshold)

# %%
detections = gunshot.score_file(recording, bundle)
print(detections.select(["start_s", "n_shots", "score"]).to_pylist())

# %% [markdown]
# An array is scored as the recording that would hold it.

# %%
y, sr = sf.read(recording, dtype="float32")
again = gunshot.score_array(y, sr, bundle)
print(again.num_rows, "detections in the array")

# %%
start = round(detections.column("start_s")[0].as_py() * sr)
figure = gunshot.plot_clip(y[max(0, start - sr // 2) : start + sr], sr, "the first detection")
figure.savefig(folder / "clip.png")
