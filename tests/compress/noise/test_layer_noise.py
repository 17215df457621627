"""What layers are called."""

from blipvino.compress.noise.layer_noise import LayerNoise
from blipvino.metrics.sqnr import Fidelity


def test_labels_are_the_checkpoints_names():
    noise = Fidelity(1, 1, 1, 1)
    assert LayerNoise("question", "text_encoder.encoder.layer.2.crossattention/scores", noise).label == (
        "question, layer 2, crossattention/scores"
    )
    assert LayerNoise("answer", "text_decoder.cls.predictions.decoder/matmul", noise).label == (
        "answer, cls.predictions.decoder"
    )
