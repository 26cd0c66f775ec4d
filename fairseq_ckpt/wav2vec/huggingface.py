"""wav2vec 2.0 between fairseq's names and those of Hugging Face's `Wav2Vec2ForPreTraining`.

The tensors are the same, the outputs differ. `hidden_states[0]` of `transformers` is the input of the first layer, and
`hidden_states[i]` equals fairseq's `layer_results[i - 1]`, except the last one: `transformers` before version 5 takes it
after the encoder's final layer norm, fairseq (and versions 5.23 and 5.24) before it. `last_hidden_state` is after the norm in all
versions. A detector that taps every layer needs the outputs before the norm.
"""

import json
import re
from pathlib import Path
from typing import Any

from fairseq_ckpt.errors import CheckpointError
from fairseq_ckpt.settings import plain_settings
from fairseq_ckpt.shapes import Shapes

from .spec import XLSR_300M, Wav2VecSpec, parse_conv_layers

# fairseq's name, Hugging Face's. Each # is a number; a name that ends in a dot is the beginning of several.
NAMES = (
    ("mask_emb", "wav2vec2.masked_spec_embed"),
    ("feature_extractor.conv_layers.#.0.", "wav2vec2.feature_extractor.conv_layers.#.conv."),
    ("feature_extractor.conv_layers.#.2.1.", "wav2vec2.feature_extractor.conv_layers.#.layer_norm."),
    ("feature_extractor.conv_layers.#.2.", "wav2vec2.feature_extractor.conv_layers.#.layer_norm."),  # a group norm
    ("layer_norm.", "wav2vec2.feature_projection.layer_norm."),
    ("post_extract_proj.", "wav2vec2.feature_projection.projection."),
    ("encoder.pos_conv.0.", "wav2vec2.encoder.pos_conv_embed.conv."),
    ("encoder.layer_norm.", "wav2vec2.encoder.layer_norm."),
    ("encoder.layers.#.self_attn.", "wav2vec2.encoder.layers.#.attention."),
    ("encoder.layers.#.self_attn_layer_norm.", "wav2vec2.encoder.layers.#.layer_norm."),
    ("encoder.layers.#.final_layer_norm.", "wav2vec2.encoder.layers.#.final_layer_norm."),
    ("encoder.layers.#.fc1.", "wav2vec2.encoder.layers.#.feed_forward.intermediate_dense."),
    ("encoder.layers.#.fc2.", "wav2vec2.encoder.layers.#.feed_forward.output_dense."),
    ("quantizer.vars", "quantizer.codevectors"),
    ("quantizer.weight_proj.", "quantizer.weight_proj."),
    ("project_q.", "project_q."),
    ("final_proj.", "project_hid."),
)
# Settings that differ in nothing but their names: fairseq's, Hugging Face's.
SETTINGS = (
    ("encoder_layers", "num_hidden_layers"),
    ("encoder_embed_dim", "hidden_size"),
    ("encoder_ffn_embed_dim", "intermediate_size"),
    ("encoder_attention_heads", "num_attention_heads"),
    ("layer_norm_first", "do_stable_layer_norm"),
    ("conv_bias", "conv_bias"),
    ("conv_pos", "num_conv_pos_embeddings"),
    ("conv_pos_groups", "num_conv_pos_embedding_groups"),
    ("final_dim", "proj_codevector_dim"),
    ("latent_dim", "codevector_dim"),
    ("latent_vars", "num_codevectors_per_group"),
    ("latent_groups", "num_codevector_groups"),
    ("dropout", "hidden_dropout"),
    ("attention_dropout", "attention_dropout"),
    ("activation_dropout", "activation_dropout"),
    ("dropout_input", "feat_proj_dropout"),
    ("dropout_features", "feat_quantizer_dropout"),
    ("encoder_layerdrop", "layerdrop"),
)


def hugging_face_name(name: str) -> str:
    """fairseq's name of a tensor to Hugging Face's.

    >>> hugging_face_name("encoder.layers.7.fc1.weight")
    'wav2vec2.encoder.layers.7.feed_forward.intermediate_dense.weight'
    """
    return _translate(name, NAMES)


def fairseq_names(names: list[str]) -> dict[str, str]:
    """Names in one file of Hugging Face's to fairseq's; names that fairseq's network does not have stay as they are."""
    group_norm = "wav2vec2.feature_extractor.conv_layers.1.layer_norm.weight" not in names
    skipped = "feature_extractor.conv_layers.#.2.1." if group_norm else "feature_extractor.conv_layers.#.2."
    rules = [(theirs, ours) for ours, theirs in NAMES if ours != skipped]
    return {name: _translate(name, rules) for name in names}


def hugging_face_tensors(shapes: Shapes) -> Shapes:
    """Names and shapes of the network whose sizes the tensors of a Hugging Face file show."""
    names = fairseq_names(list(shapes))
    network = Wav2VecSpec.from_shapes({names[name]: shape for name, shape in shapes.items()})
    return {hugging_face_name(name): shape for name, shape in network.tensors().items()}


def config_from_hugging_face(path: Path) -> dict[str, Any]:
    """fairseq's `cfg.model` from a `config.json`; raises CheckpointError when it is missing or of another model."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: not a file: fetch the config.json that belongs to the tensors")
    try:
        theirs = plain_settings(json.loads(path.read_text(encoding="utf-8")), path)
        layers = list(zip(theirs["conv_dim"], theirs["conv_kernel"], theirs["conv_stride"], strict=True))
        config = {ours: theirs[name] for ours, name in SETTINGS}
        mode = {"layer": "layer_norm", "group": "default"}[theirs["feat_extract_norm"]]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing: fetch the config.json that belongs to the tensors") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not the configuration of a wav2vec 2.0 network ({error}): fetch it again") from None
    return XLSR_300M | config | {"extractor_mode": mode, "conv_feature_layers": str(layers)}


def config_for_hugging_face(config: dict[str, Any], network: Wav2VecSpec, source: object) -> dict[str, Any]:
    """The `config.json` of a network, from fairseq's `cfg.model` and from its sizes.

    Raises CheckpointError, naming `source`, when its convolutions are not plain numbers.
    """
    settings = network.to_fairseq_config() | config
    settings["latent_dim"] = network.code_groups * network.code_size  # fairseq writes 0 for as many as targets
    layers = parse_conv_layers(settings["conv_feature_layers"], source)
    dimensions, kernels, strides = (list(column) for column in zip(*layers, strict=True))
    return {theirs: settings[ours] for ours, theirs in SETTINGS if ours in settings} | {
        "model_type": "wav2vec2",
        "architectures": ["Wav2Vec2ForPreTraining"],
        "feat_extract_norm": "group" if settings["extractor_mode"] == "default" else "layer",
        "feat_extract_activation": "gelu",
        "hidden_act": "gelu",
        "conv_dim": dimensions,
        "conv_kernel": kernels,
        "conv_stride": strides,
        "num_feat_extract_layers": len(layers),
        "apply_spec_augment": False,  # detectors do not mask their input
    }


def _translate(name: str, rules: Any) -> str:
    for source, target in rules:
        match = re.match(re.escape(source).replace(r"\#", r"(\d+)"), name)
        if match and (source.endswith(".") or match.end() == len(name)):
            number = match[1] if "#" in source else ""
            return target.replace("#", number) + name[match.end() :]
    return name
