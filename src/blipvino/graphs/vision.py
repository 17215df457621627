"""The vision model: pixels to image embeddings (ViT; BLIP paper section 3.1, upstream ``BlipVisionModel``)."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import RESCALE_FACTOR, VisionConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn


def vision_graph(checkpoint: Checkpoint) -> ov.Model:
    """``pixels`` uint8 ``[B, size, size, 3]`` RGB -> ``image_embeds`` ``[B, patches + 1, D]``.

    The normalisation of ``preprocessor_config.json`` is part of the graph.
    """
    config = checkpoint.config.vision
    w = nn.Weights(checkpoint, "vision_model")
    pixels = nn.parameter([-1, config.image_size, config.image_size, 3], np.uint8, "pixels")
    x = embeddings(pixels, w / "embeddings", config)
    for layer in range(config.num_hidden_layers):
        x = encoder_layer(x, w / "encoder.layers" / layer, config)
    x = nn.layer_norm(x, w / "post_layernorm", config.hidden_size, config.layer_norm_eps)
    result = nn.output(x, "image_embeds")
    return ov.Model([result], [pixels], "vision")


def embeddings(pixels: nn.Node, w: nn.Weights, config: VisionConfig) -> nn.Node:
    """Class token and projected patches, with their positions added."""
    patches = patch_embedding(pixels, w, config)
    batch = nn.dimension(pixels, 0)
    token = nn.constant(w.array("class_embedding", 1, 1, config.hidden_size))
    tokens = ops.broadcast(token, ops.concat([batch, nn.integers(1, config.hidden_size)], 0))
    positions = nn.constant(w.array("position_embedding", 1, config.num_positions, config.hidden_size))
    return ops.add(ops.concat([tokens, patches], 1), positions)


def patch_embedding(pixels: nn.Node, w: nn.Weights, config: VisionConfig) -> nn.Node:
    """The strided convolution as one matmul over patches, normalisation folded into its weight and bias.

    ``conv((p / 255 - mean) / std)`` is ``(weight / std) @ (p / 255) + bias - weight @ (mean / std)``.
    """
    grid, patch, width = config.grid_size, config.patch_size, config.hidden_size
    kernel = (w / "patch_embedding").array("weight", width, 3, patch, patch).transpose(0, 2, 3, 1).astype(np.float64)
    preprocessor = w.checkpoint.preprocessor_config
    mean, scale = np.array(preprocessor.image_mean), 1 / np.array(preprocessor.image_std)
    bias = (w / "patch_embedding").array("bias", width) - (kernel * (mean * scale)).sum(axis=(1, 2, 3))
    weight = (kernel * scale).reshape(width, -1)
    x = ops.multiply(ops.convert(pixels, "f32"), nn.constant(RESCALE_FACTOR))
    x = ops.reshape(x, nn.integers(0, grid, patch, grid, patch * 3), True)
    x = ops.reshape(ops.transpose(x, nn.integers(0, 1, 3, 2, 4)), nn.integers(0, grid * grid, patch * patch * 3), True)
    return nn.affine(x, weight.astype(np.float32), bias.astype(np.float32), f"{w.prefix}.patch_embedding")


def encoder_layer(x: nn.Node, w: nn.Weights, config: VisionConfig) -> nn.Node:
    """Pre-norm transformer layer."""
    width, eps = config.hidden_size, config.layer_norm_eps
    x = ops.add(x, self_attention(nn.layer_norm(x, w / "layer_norm1", width, eps), w / "self_attn", config))
    return ops.add(x, mlp(nn.layer_norm(x, w / "layer_norm2", width, eps), w / "mlp", config))


def self_attention(x: nn.Node, w: nn.Weights, config: VisionConfig) -> nn.Node:
    """Attention among patches. The checkpoint's one matrix is cut in three: no copies between matmul and attention."""
    width, heads, head_size = config.hidden_size, config.num_attention_heads, config.head_size
    weights = np.split((w / "qkv").array("weight", 3 * width, width), 3)
    biases = np.split((w / "qkv").array("bias", 3 * width), 3)
    scale = np.float32(head_size**-0.5)
    query = nn.affine(x, weights[0] * scale, biases[0] * scale, f"{w.prefix}.query")
    key = nn.affine(x, weights[1], biases[1], f"{w.prefix}.key")
    value = nn.affine(x, weights[2], biases[2], f"{w.prefix}.value")
    query, key, value = (nn.split_heads(part, heads, head_size) for part in (query, key, value))
    context = nn.attend(query, ops.transpose(key, nn.integers(0, 1, 3, 2)), value, w.prefix)
    return nn.linear(nn.merge_heads(context, width), w / "projection", width, width)


def mlp(x: nn.Node, w: nn.Weights, config: VisionConfig) -> nn.Node:
    """Two linear layers with GELU between."""
    hidden = nn.gelu(nn.linear(x, w / "fc1", config.hidden_size, config.intermediate_size))
    return nn.linear(hidden, w / "fc2", config.intermediate_size, config.hidden_size)
