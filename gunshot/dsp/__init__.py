"""Signal processing: arrays in, arrays out, librosa's names, nothing of this project imported."""
