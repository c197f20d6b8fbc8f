"""What is wanted in a notebook: a model, a store, the scores of a file or of an array, and a picture.

Conventions
-----------
``import gunshot`` gives these names and imports nothing before one is used. Tables are Arrow's: ``.to_pandas()`` makes
a DataFrame of one where pandas is installed. Everything is what the commands do, by the same code: an array is scored
as the recording that would hold it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import soundfile as sf
from numpy.typing import ArrayLike

from gunshot.errors import ParameterError
from gunshot.models.bundle import Bundle
from gunshot.models.bundle import load_bundle as _load_bundle
from gunshot.models.registry import resolve_model
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.results import read_table
from gunshot.scoring.results.schemas import table_of
from gunshot.scoring.targets import list_targets
from gunshot.store.read import FeatureStore, open_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FeatureStore", "load_bundle", "open_store", "plot_clip", "read_table", "score_array", "score_file"]


def load_bundle(model: str = "field", operating_point: str | None = None) -> Bundle:
    """Load a model and check it.

    Parameters
    ----------
    model : str
        ``field``, a bundle's address, or a name of the registry.
    operating_point : str, optional
        Such as ``"miss 1%"``; the model's default if not given.

    Returns
    -------
    Bundle
        Ready to score.

    Raises
    ------
    BundleError
        If there is none, or it is damaged.
    """
    return _load_bundle(resolve_model(model), operating_point)


def score_file(uri: str | Path, bundle: Bundle | None = None) -> pa.Table:
    """Find gunshots in one recording.

    Parameters
    ----------
    uri : str or path
        The recording; also ``s3://``.
    bundle : Bundle, optional
        The model; ``field`` if not given.

    Returns
    -------
    pyarrow.Table
        A row a detection, with the columns of `gunshot score`.

    Raises
    ------
    StorageError
        If there is no such file.
    ParameterError
        If it cannot be read as sound.
    """
    targets = list_targets([str(uri)])
    (scored,) = score_recordings(targets, bundle or load_bundle())
    if scored.row["state"] not in {"ok", "short", "silent"}:
        raise ParameterError(f"{uri}: {scored.row['state']}, {scored.row['reason']}; give a file that holds sound")
    return table_of(scored.detections, "detections")


def score_array(y: ArrayLike, sr: int, bundle: Bundle | None = None) -> pa.Table:
    """Find gunshots in an array.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        One channel, in [-1, 1].
    sr : int
        Its sample rate [Hz].
    bundle : Bundle, optional
        The model; ``field`` if not given.

    Returns
    -------
    pyarrow.Table
        A row a detection, as of a recording of these samples.

    Raises
    ------
    ParameterError
        If it is not one channel of finite samples.
    """
    samples = _samples(y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "array.wav")
        sf.write(path, samples, sr, subtype="FLOAT")
        return score_file(path, bundle)


def plot_clip(y: ArrayLike, sr: int, title: str = "") -> Figure:
    """Draw a piece of sound: spectrogram above, waveform below.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        One channel, in [-1, 1].
    sr : int
        Its sample rate [Hz].
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        To show, or to save with ``savefig``.

    Raises
    ------
    ParameterError
        If it is not one channel of finite samples.
    """
    from matplotlib.figure import Figure
    from scipy.signal import spectrogram

    samples = _samples(y)
    figure = Figure(figsize=(8, 4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    n_fft = min(1024, 1 << max(4, samples.size.bit_length() - 3))
    padded = np.pad(samples, (0, max(0, 2 * n_fft - samples.size)))  # two columns at least, or there is no image
    _, time_s, power = spectrogram(padded, sr, nperseg=n_fft, noverlap=n_fft - max(1, n_fft // 4))
    level_db = 10 * np.log10(np.maximum(power, 1e-12))
    half_s = (time_s[1] - time_s[0]) / 2
    extent = (time_s[0] - half_s, time_s[-1] + half_s, 0.0, sr / 2)
    high = float(level_db.max())
    above.imshow(level_db, extent=extent, origin="lower", aspect="auto", cmap="magma", vmin=high - 80, vmax=high)
    above.set(ylabel="Frequency (Hz)", title=title)
    below.plot(np.arange(samples.size) / sr, samples, linewidth=0.5)
    below.set(xlabel="Time (s)", xlim=(0, samples.size / sr))
    return figure


def _samples(y: ArrayLike) -> Any:
    samples = np.asarray(y, dtype=np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ParameterError(
            f"y must be finite samples of shape (n_samples,); got shape {samples.shape}: give one channel"
        )
    return samples
