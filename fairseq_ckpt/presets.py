"""Configurations of wav2vec 2.0 networks to make random checkpoints of."""

# The published configuration of XLS-R 300M, as far as it differs from fairseq's defaults.
XLSR_300M = {
    "_name": "wav2vec2",
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "conv_bias": True,
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2",
    "encoder_layers": 24,
    "encoder_embed_dim": 1024,
    "encoder_ffn_embed_dim": 4096,
    "encoder_attention_heads": 16,
    "final_dim": 768,
    "latent_vars": 320,
    "latent_groups": 2,
    "latent_temp": [2.0, 0.1, 0.999995],
    "quantize_targets": True,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
    "dropout_features": 0.0,
    "encoder_layerdrop": 0.0,
    "feature_grad_mult": 1.0,
}
# The task of pre-training, as far as it says what the network heard.
PRETRAINING_TASK = {"_name": "audio_pretraining", "data": "", "sample_rate": 16_000, "normalize": True}
# The same kind of network, small enough to train on a CPU in a minute or two; as many frames per second.
TINY = XLSR_300M | {
    "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32, 2, 2)] * 2",
    "encoder_layers": 4,
    "encoder_embed_dim": 48,
    "encoder_ffn_embed_dim": 96,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
    "final_dim": 16,
    "latent_vars": 8,
}
PRESETS = {"tiny": TINY, "300m": XLSR_300M}
