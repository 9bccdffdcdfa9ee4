"""The decoder: Llama's layers written out for what the daemon needs, a shared prefix, a tree of labels and no vocabulary head.

Equal to transformers' ``LlamaModel`` on the same weights (tested); written out because the exported graph must take its past, its
attention mask and the positions to read as inputs. Layout: Touvron et al. 2023 (arXiv 2302.13971) with grouped-query attention
(arXiv 2305.13245) and rotary positions (arXiv 2104.09864, half-split form).

Shapes: B sequences, T new tokens, P past positions, L layers, H query heads, G key-value heads, d head width, D width.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from inspector.vlm.trie import additive


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Sizes of the decoder."""

    layers: int
    """L."""
    width: int
    """D."""
    inner: int
    """Width of the gated MLP."""
    heads: int
    """H."""
    kv_heads: int
    """G."""
    rope_theta: float
    """Base of the rotary frequencies."""
    norm_eps: float
    """Epsilon of the RMS norms."""

    @property
    def head_width(self) -> int:
        """Width of one head, d."""
        return self.width // self.heads


class RMSNorm(nn.Module):
    """Root-mean-square norm (arXiv 1910.07467) in plain operators, which ONNX Runtime fuses."""

    def __init__(self, width: int, epsilon: float) -> None:
        """Start with unit weights."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D)."""
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, shape: DecoderShape) -> None:
        """Build the projections, without biases."""
        super().__init__()
        self.shape = shape
        kv_width = shape.kv_heads * shape.head_width
        self.input_norm = RMSNorm(shape.width, shape.norm_eps)
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, kv_width, bias=False)
        self.v = nn.Linear(shape.width, kv_width, bias=False)
        self.o = nn.Linear(shape.width, shape.width, bias=False)
        self.mlp_norm = RMSNorm(shape.width, shape.norm_eps)
        self.gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.up = nn.Linear(shape.width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(
        self,
        x: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        bias: torch.Tensor,
        past: torch.Tensor,
        nodes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run (B, T, D) over ``past`` (2, B, G, P, d) with the additive mask (T, P + T); return it and the new keys and values.

        With ``nodes`` (N,) only those tokens go on: (B, N, D). All T still give keys and values.
        """
        weights, values, present = self.attention(x, rotary, bias, past, nodes)
        x = x if nodes is None else x.index_select(1, nodes)
        s, (b, t, _) = self.shape, x.shape
        mixed = (weights @ values).view(b, s.heads, t, s.head_width)
        x = x + self.o(mixed.transpose(1, 2).reshape(b, t, s.width))
        h = self.mlp_norm(x)
        return x + self.down(functional.silu(self.gate(h)) * self.up(h)), present

    def attention(
        self,
        x: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        bias: torch.Tensor,
        past: torch.Tensor,
        nodes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return attention weights (B, G, H / G * T, P + T), values (B, G, P + T, d) and the new keys and values (2, B, G, T, d).

        With ``nodes`` (N,) the weights are those of these tokens alone, (B, G, H / G * N, P + T).
        """
        s, (b, t, _) = self.shape, x.shape
        h = self.input_norm(x)
        asking, asked_at = h, rotary
        if nodes is not None:
            asking, bias, asked_at = h.index_select(1, nodes), bias.index_select(0, nodes), (rotary[0][nodes], rotary[1][nodes])
        n = asking.shape[1]
        q = rotate(self.q(asking).view(b, n, s.heads, s.head_width).transpose(1, 2), asked_at)  # (B, H, N, d)
        k = rotate(self.k(h).view(b, t, s.kv_heads, s.head_width).transpose(1, 2), rotary)  # (B, G, T, d)
        v = self.v(h).view(b, t, s.kv_heads, s.head_width).transpose(1, 2)
        keys, values = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)  # (B, G, P + T, d)
        group = s.heads // s.kv_heads
        q = q.reshape(b, s.kv_heads, group * n, s.head_width)  # the heads of a group share keys and values
        scores = (q @ keys.transpose(2, 3)) * s.head_width**-0.5
        weights = (scores.view(b, s.kv_heads, group, n, -1) + bias).softmax(-1).view(b, s.kv_heads, group * n, -1)
        return weights, values, torch.stack([k, v])


def rotate(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Apply rotary positions to (B, heads, T, d)."""
    cos, sin = rotary
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Decoder(nn.Module):
    """All layers, the final norm and nothing else: hidden states in, hidden states out."""

    inverse_frequency: torch.Tensor

    def __init__(self, shape: DecoderShape) -> None:
        """Build the layers."""
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width, shape.norm_eps)
        exponents = torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width
        self.register_buffer("inverse_frequency", shape.rope_theta**-exponents, persistent=False)

    def forward(
        self,
        embeds: torch.Tensor,
        positions: torch.Tensor,
        bias: torch.Tensor,
        past: torch.Tensor,
        nodes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states (B, T, D) after the final norm, and the new keys and values (L, 2, B, G, T, d).

        With ``nodes`` (N,) hidden states of these tokens alone, (B, N, D): the last layer works for no other.

        ``embeds`` (B, T, D); ``positions`` (T,) int64; ``bias`` (T, P + T) float32, 0 where a token may look and a large negative number
        elsewhere; ``past`` (L, 2, B, G, P, d), or (L, 2, 1, G, P, d) for a prefix that all sequences share.
        """
        angles = positions.float()[:, None] * self.inverse_frequency  # (T, d / 2)
        rotary = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
        past = past.expand(-1, -1, embeds.shape[0], -1, -1, -1)
        x, present = embeds, []
        for index, layer in enumerate(self.layers):
            asked = () if nodes is None or index < len(self.layers) - 1 else (nodes,)
            x, kv = layer(x, rotary, bias, past[index], *asked)
            present.append(kv)
        return self.norm(x), torch.stack(present)

    def empty_past(self, batch: int = 1) -> torch.Tensor:
        """Return a past of no positions, (L, 2, B, G, 0, d)."""
        s = self.shape
        return torch.zeros(s.layers, 2, batch, s.kv_heads, 0, s.head_width)


def decoder_from_llama(model: LlamaForCausalLM) -> Decoder:
    """Return a decoder with the weights of a Llama model of any size."""
    c = model.config
    theta = float(cast("dict[str, float]", c.rope_parameters)["rope_theta"])
    kv_heads = c.num_key_value_heads or c.num_attention_heads
    shape = DecoderShape(c.num_hidden_layers, c.hidden_size, c.intermediate_size, c.num_attention_heads, kv_heads, theta, c.rms_norm_eps)
    decoder = Decoder(shape)
    names = {
        "input_norm": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
    }  # fmt: skip
    theirs = model.state_dict()
    ours = {
        f"layers.{i}.{our}.weight": theirs[f"model.layers.{i}.{their}.weight"] for i in range(shape.layers) for our, their in names.items()
    }
    decoder.load_state_dict(ours | {"norm.weight": theirs["model.norm.weight"]})
    return decoder


def causal_bias(new: int, past: int) -> torch.Tensor:
    """Return the additive mask (T, P + T) of a causal pass over ``new`` tokens after ``past`` ones."""
    return torch.from_numpy(additive(np.tril(np.ones((new, past + new), bool), past)))
