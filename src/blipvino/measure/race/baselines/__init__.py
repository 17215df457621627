"""The contenders that the benchmark compares blipvino with. They need the extra ``bench``, torch among it."""
