"""The feature store: waveforms and log-mel spectrograms, a row a clip, in Zarr v3."""
