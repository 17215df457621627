"""ONNX exports under test, run with ONNX Runtime and numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

LONGEST = 20
NAMES = ("vision_model", "text_encoder_model", "decoder_model", "decoder_with_past_model")
IN_FLOAT = {"session.disable_quant_qdq": "1"}
"""Quantizers are computed as they are written, in float: no 8-bit kernels, which differ from CPU to CPU."""


@dataclass(frozen=True)
class Exported:
    """The models of an export.

    Attributes:
        folder: the export.
        start: the token that texts begin with.
        end: the token that closes them.
        in_float: whether quantizers are computed in float.
    """

    folder: Path
    start: int
    end: int
    in_float: bool = True

    @cached_property
    def sessions(self):
        """A session a model, on one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, value in IN_FLOAT.items() if self.in_float else ():
            options.add_session_config_entry(name, value)
        paths = {name: self.folder / f"{name}.onnx" for name in NAMES}
        return {name: onnxruntime.InferenceSession(path, options) for name, path in paths.items() if path.exists()}

    def run(self, name, values):
        """A model's outputs by name, from values that hold its inputs among others."""
        session = self.sessions[name]
        made = session.run(None, {port.name: values[port.name] for port in session.get_inputs()})
        return dict(zip([port.name for port in session.get_outputs()], made, strict=True))

    def embeds(self, pixel_values):
        """Image embeddings."""
        return self.run("vision_model", {"pixel_values": pixel_values})["last_hidden_state"]

    def states(self, input_ids, attention_mask, embeds):
        """Question states."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "encoder_hidden_states": embeds}
        return self.run("text_encoder_model", given)["last_hidden_state"]

    def steps(self, source, mask, *tokens):
        """The logits of each of these pieces of a text ``[B, T]``, one after the other."""
        known, name, logits = {"encoder_hidden_states": source, "encoder_attention_mask": mask}, "decoder_model", []
        for piece in tokens:
            made = self.run(name, {**known, "input_ids": piece})
            known |= {key.replace("present", "past_key_values"): value for key, value in made.items()}
            logits.append(made["logits"])
            name = "decoder_with_past_model"
        return logits

    def text(self, source, mask):
        """The tokens that greedy search finds for one source, as `Blip` counts them."""
        known, name = {"encoder_hidden_states": source, "encoder_attention_mask": mask}, "decoder_model"
        text = [self.start]
        while len(text) <= LONGEST:
            made = self.run(name, {**known, "input_ids": np.array([text[-1:]])})
            known |= {key.replace("present", "past_key_values"): value for key, value in made.items()}
            name = "decoder_with_past_model"
            token = int(made["logits"][0, -1].argmax())
            if token == self.end:
                break
            text.append(token)
        return tuple(text)

    def answer(self, pixel_values, question):
        """The tokens of an answer to one question, given as its tokens."""
        ids = np.array([question])
        return self.text(self.states(ids, np.ones_like(ids), self.embeds(pixel_values)), np.ones_like(ids))

    def caption(self, pixel_values):
        """The tokens of a caption."""
        embeds = self.embeds(pixel_values)
        return self.text(embeds, np.ones(embeds.shape[:2], np.int64))


def exported(folder, blip, **options):
    """An export of a model's bundle."""
    return Exported(folder, blip.config.text.bos_token_id, blip.config.text.sep_token_id, **options)


def ratio_db(expected, found):
    """Signal to noise in dB."""
    noise = np.square(np.asarray(found, np.float64) - expected).sum()
    return 10 * np.log10(np.square(np.asarray(expected, np.float64)).sum() / noise)
