"""The written-out decoder is transformers' Llama, and a cached prefix changes nothing."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from inspector.training.decoder import causal_bias, decoder_from_llama


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        initializer_range=0.3, rope_parameters={"rope_theta": 100000.0, "rope_type": "default"},
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_hidden_states_equal_those_of_transformers_llama(llama: LlamaForCausalLM) -> None:
    decoder, embeds = decoder_from_llama(llama), torch.randn(2, 9, 48)
    with torch.inference_mode():
        theirs = llama.model(inputs_embeds=embeds).last_hidden_state
        ours, _ = decoder(embeds, torch.arange(9), causal_bias(9, 0), decoder.empty_past(2))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_shared_cached_prefix_equals_the_full_pass_for_every_sequence_of_a_batch(llama: LlamaForCausalLM) -> None:
    decoder, prefix, rest = decoder_from_llama(llama), torch.randn(1, 4, 48), torch.randn(3, 5, 48)
    with torch.inference_mode():
        whole, _ = decoder(torch.cat([prefix.expand(3, -1, -1), rest], 1), torch.arange(9), causal_bias(9, 0), decoder.empty_past(3))
        _, past = decoder(prefix, torch.arange(4), causal_bias(4, 0), decoder.empty_past())
        split, _ = decoder(rest, torch.arange(4, 9), causal_bias(5, 4), past)
    assert torch.allclose(split, whole[:, 4:], atol=1e-5)


def test_asking_for_some_tokens_gives_what_the_full_pass_gives_for_them(llama: LlamaForCausalLM) -> None:
    decoder, embeds, nodes = decoder_from_llama(llama), torch.randn(2, 9, 48), torch.tensor([8, 3])
    with torch.inference_mode():
        whole, all_present = decoder(embeds, torch.arange(9), causal_bias(9, 0), decoder.empty_past(2))
        some, present = decoder(embeds, torch.arange(9), causal_bias(9, 0), decoder.empty_past(2), nodes)
    assert some.shape == (2, 2, 48)
    assert torch.allclose(some, whole[:, nodes], atol=1e-6)
    assert torch.equal(present, all_present)
