#!/usr/bin/env python3
"""Exports models for `songrec model add`: ONNX files with the names, inputs and
outputs that songrec's built-in descriptions expect.

    export_models.py MODEL --out DIR (--checkpoint DIR | --random real|tiny)

MODEL is clap, clap-fused, clap-music, ms-clap, wav2vec2 or mert.

Step by step, for CLAP:

 1. python3 -m venv export && export/bin/pip install torch transformers onnx onnxruntime
    (on Linux, PyPI's torch is 6 GB with its CUDA libraries; it works on any processor)
 2. Get the checkpoint by any means you like, for example with git-lfs from
    https://huggingface.co/laion/clap-htsat-unfused. songrec and this script
    download nothing. The folder has to hold config.json, the weights and
    tokenizer.json.
 3. export/bin/python tools/export_models.py clap --checkpoint clap-htsat-unfused --out clap-onnx
    It exports, runs the result beside PyTorch and says how far they differ.
 4. songrec model add clap clap-onnx
 5. songrec scan --model clap ~/Music

The same for the others, from these checkpoints:

 clap        laion/clap-htsat-unfused        48 kHz, 512 dimensions, reads text
 clap-fused  laion/clap-htsat-fused          the same, with feature fusion
 clap-music  laion/larger_clap_music         the same, larger, trained on music
 ms-clap     microsoft/msclap, CLAP_weights_2023.pth   44.1 kHz, 1024 dimensions,
             reads text; the folder also has to hold GPT-2's tokenizer.json, and
             `pip install librosa && pip install --no-deps msclap torchlibrosa`
             is needed
 wav2vec2    facebook/wav2vec2-base          16 kHz, 768 dimensions
 mert        m-a-p/MERT-v1-95M               24 kHz, 768 dimensions; its own code
             comes with the checkpoint and is run (trust_remote_code)

--random makes a model of the real or of a tiny size with random weights, to try
things out without any checkpoint; there, `mert` is a HuBERT of MERT's size. The
weights depend on nothing but the seed, 0.
"""

import argparse
import importlib.util
import os
import shutil
import sys
import types

import onnx
import torch
from torch import nn
from transformers import (ClapConfig, ClapModel, GPT2Config, GPT2Model, HubertConfig, HubertModel, Wav2Vec2Config,
                          Wav2Vec2Model)

OPSET = 17
FRAMES, MELS = 1001, 64


# --- CLAP ---------------------------------------------------------------------


def random_clap(name, size):
    """A ClapModel with random weights."""
    torch.manual_seed(0)
    config = ClapConfig()
    audio, text = config.audio_config, config.text_config
    if name == "clap-music":
        audio.patch_embeds_hidden_size, audio.depths, audio.hidden_size = 128, [2, 2, 12, 2], 1024
    if name == "clap-fused":
        audio.enable_fusion, audio.fusion_type = True, "aff_2d"
    if size == "tiny":
        audio.patch_embeds_hidden_size, audio.hidden_size = 16, 128
        # Two layers in one stage: every second one shifts its windows.
        audio.depths, audio.num_attention_heads = [2, 1, 1, 1], [1, 1, 2, 2]
        text.hidden_size, text.intermediate_size, text.vocab_size = 32, 64, 1000
        text.num_hidden_layers, text.num_attention_heads = 2, 2
    config._attn_implementation = "eager"
    model = ClapModel(config)
    standardize_decibels(model)
    return model.eval()


def standardize_decibels(model):
    """A fresh BatchNorm does nothing. It would hide an axis mixed up before it,
    and send decibels unscaled into layers that are not made for them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-30, -10)
            module.running_var.uniform_(200, 400)


def stretch(module, frames, width):
    """The bicubic stretch of `frames` to `width` along the time of [batch,
    channels, frames, mels], written as what it is: four constant weights for
    each output frame, which `module` keeps. rten has no cubic `Resize`, and the
    result is nearer to PyTorch's in every runtime."""
    matrix = nn.functional.interpolate(
        torch.eye(frames)[None, None], (width, frames), mode="bicubic", align_corners=True
    )[0, 0]
    taps = matrix.abs().topk(4, dim=1).indices
    weights = matrix.gather(1, taps)
    for tap in range(4):
        module.register_buffer(f"frames{tap}", taps[:, tap].clone(), persistent=False)
        module.register_buffer(f"weights{tap}", weights[:, tap, None].clone(), persistent=False)

    def stretched(mel):
        return sum(
            mel.index_select(2, getattr(module, f"frames{tap}")) * getattr(module, f"weights{tap}")
            for tap in range(4)
        )

    return stretched


def without_resize(model):
    """Replaces the `Resize` in LAION's CLAP."""
    encoder = model.audio_model.audio_encoder
    ratio = encoder.freq_ratio
    width = encoder.spec_size * ratio
    stretched = stretch(encoder, FRAMES, width)

    def to_image(mel):
        mel = stretched(mel)
        batch, channels = mel.shape[:2]
        mel = mel.reshape(-1, channels * ratio, width // ratio, MELS).permute(0, 1, 3, 2)
        return mel.reshape(-1, channels, MELS * ratio, width // ratio)

    encoder.reshape_mel2img = to_image


class ClapAudio(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.audio_model, model.audio_projection
        self.fuses = model.config.audio_config.enable_fusion

    def forward(self, input_features):
        # Windows are never longer than what CLAP hears at once.
        longer = torch.zeros(input_features.shape[0], 1, dtype=torch.bool) if self.fuses else None
        heard = self.tower(input_features=input_features, is_longer=longer).pooler_output
        return nn.functional.normalize(self.projection(heard), dim=-1)


class ClapText(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.text_model, model.text_projection

    def forward(self, input_ids, attention_mask):
        read = self.tower(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return nn.functional.normalize(self.projection(read), dim=-1)


def export_clap(name, model, out, checkpoint=None):
    channels = 4 if model.config.audio_config.enable_fusion else 1
    spectrogram = torch.randn(2, 1, FRAMES, MELS).repeat(1, channels, 1, 1) * 10 - 20
    audio, text = ClapAudio(model).eval(), ClapText(model).eval()
    with torch.inference_mode():
        before = audio(spectrogram)
        without_resize(model)
        report("the stretch as four weights", before, audio(spectrogram))
    save(audio, (spectrogram,), ["input_features"], "audio_embeds", {0: "batch"}, f"{out}/clap_audio.onnx")
    for batch in (1, 3):
        one = torch.randn(batch, 1, FRAMES, MELS).repeat(1, channels, 1, 1) * 10 - 20
        compare(audio, f"{out}/clap_audio.onnx", input_features=one)

    words = model.config.text_config.vocab_size
    ids = torch.randint(4, words, (2, 12))
    axes = {0: "batch", 1: "tokens"}
    save(text, (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"], "text_embeds", axes,
         f"{out}/clap_text.onnx")
    for batch, tokens in ((1, 5), (3, 20)):
        ids = torch.randint(4, words, (batch, tokens))
        mask = torch.ones_like(ids)
        ids[0, -2:], mask[0, -2:] = 1, 0
        compare(text, f"{out}/clap_text.onnx", input_ids=ids, attention_mask=mask)
    save_tokenizer(checkpoint, out, words)
    return audio, text


# --- models that hear samples -------------------------------------------------


class Waveform(nn.Module):
    """Samples in; normalised, through the model, mean over frames, length 1.
    A tiny model has a `head` that brings its frames to the real one's size."""

    def __init__(self, model, layers=False, head=None):
        super().__init__()
        self.model, self.layers, self.head = model, layers, head

    def forward(self, waveform):
        mean = waveform.mean(-1, keepdim=True)
        variance = waveform.var(-1, keepdim=True, unbiased=False)
        heard = self.model((waveform - mean) / torch.sqrt(variance + 1e-7), output_hidden_states=self.layers)
        frames = torch.stack(heard.hidden_states).mean(0) if self.layers else heard.last_hidden_state
        if self.head is not None:
            frames = self.head(frames)
        return nn.functional.normalize(frames.mean(1), dim=-1)


def random_waveform(name, size):
    torch.manual_seed(0)
    kind, config = (HubertModel, HubertConfig) if name == "mert" else (Wav2Vec2Model, Wav2Vec2Config)
    options = {}
    if size == "tiny":
        options = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96,
                       conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
    config = config(**options)
    config._attn_implementation = "eager"
    head = nn.Linear(64, 768) if size == "tiny" else None
    return kind(config).eval(), head


def export_waveform(name, model, head, out):
    # weight_norm as a parametrisation does not export; the plain weight does.
    conv = model.encoder.pos_conv_embed.conv
    if nn.utils.parametrize.is_parametrized(conv):
        nn.utils.parametrize.remove_parametrizations(conv, "weight")
    rate = 24_000 if name == "mert" else 16_000
    wrapped = Waveform(model, layers=name == "mert", head=head).eval()
    path = f"{out}/{name}.onnx"
    save(wrapped, (torch.randn(2, rate * 3),), ["waveform"], "embedding", {0: "batch", 1: "samples"}, path)
    for shape in ((1, rate * 10), (3, rate * 2 + 77)):
        compare(wrapped, path, waveform=torch.randn(*shape) * 0.1)
    return wrapped


# --- MS-CLAP ------------------------------------------------------------------


MS_CLAP_SAMPLES = 44_100 * 7
MS_CLAP_TOKENS = 77


def ms_clap(size, words):
    """MS-CLAP of 2023 with random weights, from its own code."""
    found = importlib.util.find_spec("msclap")
    if found is None:
        sys.exit("ms-clap needs its code: pip install librosa && pip install --no-deps msclap torchlibrosa")
    # What the package itself imports, such as torchaudio, is for reading files.
    package = types.ModuleType("msclap")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["msclap"] = package
    from msclap.models import clap, config, htsat

    # Its own says how many windows there are as a number, which tracing would
    # write down as that of the example: other batches would be mixed up.
    htsat.window_reverse = window_reverse
    torch.manual_seed(0)
    heard, width = 768, 768
    text = GPT2Config(vocab_size=words)
    if size == "tiny":
        heard, width = 128, 32
        text = GPT2Config(vocab_size=words, n_embd=width, n_layer=2, n_head=2, n_positions=MS_CLAP_TOKENS)
    text._attn_implementation = "eager"
    # It would download GPT-2, whose weights are in the checkpoint anyway.
    clap.AutoModel = types.SimpleNamespace(from_pretrained=lambda name: GPT2Model(text))
    # `config_2023.yml` of the package.
    model = clap.CLAP(
        audioenc_name="HTSAT", sample_rate=44_100, window_size=1024, hop_size=320, mel_bins=64, fmin=50, fmax=8000,
        classes_num=527, out_emb=heard, text_model="gpt2", transformer_embed_dim=width, d_proj=1024)
    if size == "tiny":
        # Two layers in one stage: every second one shifts its windows.
        model.audio_encoder.base.htsat = htsat.HTSAT_Swin_Transformer(
            config=config, embed_dim=16, depths=[2, 1, 1, 1], num_heads=[1, 1, 2, 2])
    standardize_decibels(model)
    return model.eval()


def window_reverse(windows, size, height, width):
    """[windows, size, size, channels] put together: [batch, height, width, channels]."""
    channels = windows.shape[-1]
    windows = windows.view(-1, height // size, width // size, size, size, channels)
    return windows.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def ms_clap_from(checkpoint):
    model = ms_clap("real", 50_257)
    weights = torch.load(f"{checkpoint}/CLAP_weights_2023.pth", map_location="cpu")["model"]
    # Old files also hold the masks of GPT-2's attention, which are no weights.
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if missing:
        sys.exit(f"the checkpoint lacks {missing[:5]}: it is not that of 2023")
    return model


class MsClapAudio(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.audio_encoder

    def forward(self, waveform):
        return nn.functional.normalize(self.encoder(waveform)[0], dim=-1)


class MsClapText(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.caption_encoder

    def forward(self, input_ids, attention_mask):
        read = self.encoder({"input_ids": input_ids, "attention_mask": attention_mask})
        return nn.functional.normalize(read, dim=-1)


def without_ms_resize(model):
    """Replaces the `Resize` in Microsoft's CLAP."""
    encoder = model.audio_encoder.base.htsat
    ratio = encoder.freq_ratio
    width = encoder.spec_size * ratio
    stretched = stretch(encoder, 1 + MS_CLAP_SAMPLES // 320, width)

    def to_image(mel):
        mel = stretched(mel).permute(0, 1, 3, 2)
        mel = mel.reshape(-1, 1, MELS, ratio, width // ratio).permute(0, 1, 3, 2, 4)
        return mel.reshape(-1, 1, MELS * ratio, width // ratio)

    encoder.reshape_wav2img = to_image


def export_ms_clap(model, words, out, checkpoint=None):
    audio, text = MsClapAudio(model).eval(), MsClapText(model).eval()
    noise = torch.randn(2, MS_CLAP_SAMPLES) * 0.1
    with torch.inference_mode():
        before = audio(noise)
        without_ms_resize(model)
        report("the stretch as four weights", before, audio(noise))
    save(audio, (noise,), ["waveform"], "audio_embeds", {0: "batch"}, f"{out}/ms_clap_audio.onnx")
    for batch in (1, 3):
        compare(audio, f"{out}/ms_clap_audio.onnx", waveform=torch.randn(batch, MS_CLAP_SAMPLES) * 0.1)

    def texts(batch):
        ids = torch.randint(1, words, (batch, MS_CLAP_TOKENS))
        for row in range(batch):
            ids[row, 20 + row:] = 0
        return ids, (ids != 0).long()

    save(text, texts(2), ["input_ids", "attention_mask"], "text_embeds", {0: "batch"}, f"{out}/ms_clap_text.onnx")
    for batch in (1, 3):
        ids, mask = texts(batch)
        compare(text, f"{out}/ms_clap_text.onnx", input_ids=ids, attention_mask=mask)
    target = f"{out}/tokenizer.json"
    if checkpoint:
        shutil.copyfile(f"{checkpoint}/tokenizer.json", target)
    else:
        toy_gpt2_tokenizer().save(target)
    print(target)
    return audio, text


# --- common -------------------------------------------------------------------


def save(module, args, inputs, output, axes, path):
    """Writes `module` as one ONNX file; `axes` of its inputs may have any size."""
    dynamic = {name: axes for name in inputs} | {output: {0: "batch"}}
    with torch.inference_mode():
        torch.onnx.export(module, args, path, input_names=inputs, output_names=[output], dynamic_axes=dynamic,
                          opset_version=OPSET, do_constant_folding=True, dynamo=False)
        dimension = module(*args).shape[-1]
    # The exporter does not see that it is always the same; songrec then does.
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = dimension
    onnx.save(model, path)
    print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB")


def compare(module, path, **inputs):
    """Fails if ONNX Runtime does not say what PyTorch says."""
    import onnxruntime

    with torch.inference_mode():
        expected = module(*inputs.values())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    shapes = ", ".join(str(list(value.shape)) for value in inputs.values())
    report(f"{os.path.basename(path)} with {shapes}", expected, torch.from_numpy(got))


def report(what, expected, got):
    difference = (expected - got).abs().max().item()
    print(f"{what}: differs by at most {difference:.1e}")
    # Of vectors of length 1; what is right differs by some 1e-7.
    if difference > 1e-5:
        sys.exit("that is too much; the export is wrong")


def save_tokenizer(checkpoint, out, words):
    target = f"{out}/tokenizer.json"
    if checkpoint and os.path.exists(f"{checkpoint}/tokenizer.json"):
        shutil.copyfile(f"{checkpoint}/tokenizer.json", target)
    elif checkpoint:
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer.save(target)
    else:
        toy_tokenizer(min(words, 1000)).save(target)
    print(target)


TOY_TEXT = [
    "calm piano music with soft strings and a slow waltz",
    "an aggressive heavy metal guitar riff over double bass drums",
    "upbeat electronic dance music with a warm analogue pad, 128 bpm",
    "female vocals, acoustic guitar, folk ballad, naïve café jazz",
    "field recording of rain on a tin roof and distant thunder",
]


def toy_tokenizer(words):
    """RoBERTa's kind of tokenizer, trained on a few lines."""
    from tokenizers import processors

    tokenizer = byte_level(words, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def toy_gpt2_tokenizer():
    """GPT-2's kind of tokenizer: `!` is token 0, and nothing is added."""
    tokenizer = byte_level(600, [])
    tokenizer.add_special_tokens(["<|endoftext|>"])
    assert tokenizer.token_to_id("!") == 0
    return tokenizer


def byte_level(words, special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TOY_TEXT * 20, trainers.BpeTrainer(
        vocab_size=words, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special))
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["clap", "clap-fused", "clap-music", "ms-clap", "wav2vec2", "mert"])
    parser.add_argument("--out", required=True, help="the folder for the files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", help="the checkpoint on this machine")
    source.add_argument("--random", choices=["real", "tiny"], help="random weights")
    args = parser.parse_args()
    if args.checkpoint and not os.path.exists(args.checkpoint):
        sys.exit(f"there is no `{args.checkpoint}`: --checkpoint names a folder on this machine")
    # Nothing is to be downloaded, whatever a library would like.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.makedirs(args.out, exist_ok=True)

    if args.model.startswith("clap"):
        if args.checkpoint:
            model = ClapModel.from_pretrained(args.checkpoint, attn_implementation="eager").eval()
        else:
            model = random_clap(args.model, args.random)
        export_clap(args.model, model, args.out, args.checkpoint)
    elif args.model == "ms-clap":
        words = 50_257 if args.checkpoint or args.random == "real" else 700
        model = ms_clap_from(args.checkpoint) if args.checkpoint else ms_clap(args.random, words)
        export_ms_clap(model, words, args.out, args.checkpoint)
    else:
        if args.checkpoint and args.model == "mert":
            from transformers import AutoModel

            model = AutoModel.from_pretrained(args.checkpoint, trust_remote_code=True).eval()
            head = None
        elif args.checkpoint:
            model = Wav2Vec2Model.from_pretrained(args.checkpoint, attn_implementation="eager").eval()
            head = None
        else:
            model, head = random_waveform(args.model, args.random)
        export_waveform(args.model, model, head, args.out)
    print(f"now: songrec model add {args.model} {args.out}")


if __name__ == "__main__":
    main()
