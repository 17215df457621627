"""From a checkpoint to a bundle: calibration and NNCF's quantization, by named recipes."""
