#!/usr/bin/env python3
"""Makes checkpoints with random weights that stable-diffusion.cpp loads and runs on a CPU, for tests.

    tiny_sd.py KIND FILE [--keep]

KIND     what it is                                                                      size
sd1old   SD1.x 'tiny UNet' at the fixed 320 channels, weights as f8, no VAE; for every
         generation of the engine (those before 2026-06 need this one)                 447 MB
sd1      SD1.x with a UNet of 32 channels and CLIP-L as it is, no VAE; for engines
         from 2026-06 on, which read the width from the file                           267 MB
sd1vae   the same with a KL VAE                                                        342 MB
taesd    the tiny autoencoder that sd1 and sd1old need                                   5 MB
lora     a LoRA for sd1                                                               0.05 MB
esrgan   an upscaler, x4                                                               1.7 MB

--keep leaves a FILE alone that is there and was made by the same recipe. Needs nothing but Python. Each kind takes about two
seconds at most, and gives the same bytes every time. The pictures are coloured noise that depends on prompt and seed.
"""

import argparse
import json
import os
import random
import struct
import sys

RECIPE = 2  # raise it when weights change, so that --keep tells old files from new ones
F16_CONSTANTS = {"one": 1.0, "half": 0.5, "zero": 0.0}


def f16_noise(count, rng, exponent):
    """f16 numbers of random sign and mantissa in 2^(exponent-15) .. 2^(exponent-14)."""
    return masked_noise(2 * count, rng, b"\xff\x83" * count, struct.pack("<H", exponent << 10) * count)


def f8_noise(count, rng, exponent):
    """The same in f8 e4m3: 2^(exponent-7) .. 2^(exponent-6), or 0 .. 2^-6 for exponent 0.

    The two smallest exponents keep sums of a few hundred to ten thousand products near 1; larger ones overflow to a
    picture of one colour."""
    return masked_noise(count, rng, b"\x87" * count, bytes([exponent << 3]) * count)


def masked_noise(size, rng, mask, fixed):
    bits = int.from_bytes(rng.randbytes(size), "little")
    bits &= int.from_bytes(mask, "little")
    bits |= int.from_bytes(fixed, "little")
    return bits.to_bytes(size, "little")


def is_same(path, header, size):
    try:
        with open(path, "rb") as file:
            return os.path.getsize(path) == size and file.read(len(header)) == header
    except FileNotFoundError:
        return False


class Checkpoint:
    """Tensors by name. Kinds of content: "weight", "weight8" (eight times as large), or a constant."""

    def __init__(self):
        self.tensors = {}
        self.rng = random.Random(1)

    def add(self, name, *shape, kind="weight"):
        self.tensors[name] = (shape, kind)

    def linear(self, name, inputs, outputs, bias=True):
        self.add(name + ".weight", outputs, inputs)
        if bias:
            self.add(name + ".bias", outputs, kind="zero")

    def conv(self, name, inputs, outputs, side, bias="zero", kind="weight"):
        self.add(name + ".weight", outputs, inputs, side, side, kind=kind)
        if bias:
            self.add(name + ".bias", outputs, kind=bias)

    def norm(self, name, channels):
        self.add(name + ".weight", channels, kind="one")
        self.add(name + ".bias", channels, kind="zero")

    def layout(self, weights_as_f8):
        """(name, shape, kind, element count, is f8, offset) of each tensor, one after another without gaps; the size."""
        plan, offset = [], 0
        for name, (shape, kind) in self.tensors.items():
            count = 1
            for side in shape:
                count *= side
            is_f8 = weights_as_f8 and kind in ("weight", "weight8")
            plan.append((name, shape, kind, count, is_f8, offset))
            offset += count if is_f8 else 2 * count
        return plan, offset

    def header(self, plan):
        entries = {"__metadata__": {"made_by": f"tiny_sd.py recipe {RECIPE}"}}
        for name, shape, _, count, is_f8, offset in plan:
            end = offset + (count if is_f8 else 2 * count)
            entries[name] = {"dtype": "F8_E4M3" if is_f8 else "F16", "shape": list(shape), "data_offsets": [offset, end]}
        text = json.dumps(entries).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text

    def save(self, path, weights_as_f8=False, keep=False):
        plan, data_size = self.layout(weights_as_f8)
        header = self.header(plan)
        size = len(header) + data_size
        if keep and is_same(path, header, size):
            return size
        partial = f"{path}.{os.getpid()}.partial"
        with open(partial, "wb") as file:
            file.write(header)
            # Two blocks of f8 noise serve all: making 447 MB of it would take a minute.
            small, smallest = (f8_noise(1 << 20, self.rng, exponent) if weights_as_f8 else b"" for exponent in (1, 0))
            for _, shape, kind, count, is_f8, _ in plan:
                if is_f8:
                    fan_in = count // shape[0]
                    self.write_from_pool(file, small if fan_in < 4000 else smallest, count)
                elif kind in F16_CONSTANTS:
                    file.write(struct.pack("<e", F16_CONSTANTS[kind]) * count)
                else:
                    self.write_weights(file, shape, count, boost=3 if kind == "weight8" else 0)
        os.replace(partial, path)
        return size

    def write_from_pool(self, file, pool, count):
        start = self.rng.randrange(1 << 16)  # another cut for each tensor
        while count:
            part = min(count, len(pool) - start)
            file.write(pool[start : start + part])
            count -= part
            start = self.rng.randrange(1 << 16)

    def write_weights(self, file, shape, count, boost):
        """About 0.75 / sqrt(fan in), times 2^boost, so that the numbers stay in range through all layers."""
        fan_in, halvings = max(1, count // shape[0]), 0
        while fan_in > 1:
            fan_in //= 4
            halvings += 1
        exponent = max(1, 14 - halvings + boost)
        for done in range(0, count, 65536):
            file.write(f16_noise(min(65536, count - done), self.rng, exponent))


def add_clip_l(ckpt):
    """The text encoder; every number here is fixed in the engine."""
    prefix = "cond_stage_model.transformer.text_model."
    ckpt.add(prefix + "embeddings.token_embedding.weight", 49408, 768)
    ckpt.add(prefix + "embeddings.position_embedding.weight", 77, 768)
    for layer in range(12):
        block = f"{prefix}encoder.layers.{layer}."
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            ckpt.linear(block + "self_attn." + projection, 768, 768)
        ckpt.norm(block + "layer_norm1", 768)
        ckpt.norm(block + "layer_norm2", 768)
        ckpt.linear(block + "mlp.fc1", 768, 3072)
        ckpt.linear(block + "mlp.fc2", 3072, 768)
    ckpt.norm(prefix + "final_layer_norm", 768)


class Unet:
    """SD1.x's UNet. `channels` is a multiple of 32 (group norm) and of 8 (heads). `tiny` is the variant without a middle
    block, with attention on every level and gaps in the numbering of its blocks."""

    PREFIX = "model.diffusion_model."

    def __init__(self, ckpt, channels=32, mult=(1, 2, 4, 4), blocks_per_level=2, tiny=False):
        self.ckpt, self.channels, self.mult = ckpt, channels, mult
        self.blocks_per_level, self.tiny = blocks_per_level, tiny
        self.context = 768

    def add(self):
        time = 4 * self.channels
        self.ckpt.linear(self.PREFIX + "time_embed.0", self.channels, time)
        self.ckpt.linear(self.PREFIX + "time_embed.2", time, time)
        skips, width = self.add_input_blocks()
        if not self.tiny:
            self.residual(self.PREFIX + "middle_block.0", width, width)
            self.transformer(self.PREFIX + "middle_block.1", width)
            self.residual(self.PREFIX + "middle_block.2", width, width)
        width = self.add_output_blocks(skips, width)
        self.ckpt.norm(self.PREFIX + "out.0", width)
        self.ckpt.conv(self.PREFIX + "out.2", width, 4, 3)

    def has_attention(self, level):
        return self.tiny or level < 3  # the full UNet has none on the lowest level

    def add_input_blocks(self):
        self.ckpt.conv(self.PREFIX + "input_blocks.0.0", 4, self.channels, 3)
        skips, width, number = [self.channels], self.channels, 0
        for level, factor in enumerate(self.mult):
            for _ in range(self.blocks_per_level):
                number += 1
                self.residual(f"{self.PREFIX}input_blocks.{number}.0", width, factor * self.channels)
                width = factor * self.channels
                skips.append(width)
                if self.has_attention(level):
                    self.transformer(f"{self.PREFIX}input_blocks.{number}.1", width)
                number += self.tiny
            if level != len(self.mult) - 1:
                number += 1
                self.ckpt.conv(f"{self.PREFIX}input_blocks.{number}.0.op", width, width, 3)
                skips.append(width)
        return skips, width

    def add_output_blocks(self, skips, width):
        number = 0
        for level in reversed(range(len(self.mult))):
            for block in range(self.blocks_per_level + 1):
                name = f"{self.PREFIX}output_blocks.{number}"
                self.residual(name + ".0", width + skips.pop(), self.mult[level] * self.channels)
                width = self.mult[level] * self.channels
                part = 1
                if self.has_attention(level):
                    self.transformer(name + ".1", width)
                    part = 2
                if level and block == self.blocks_per_level:
                    number += self.tiny
                    part = 1 if self.tiny and number == 2 else part
                    self.ckpt.conv(f"{self.PREFIX}output_blocks.{number}.{part}.conv", width, width, 3)
                number += 1
        return width

    def residual(self, name, inputs, outputs):
        self.ckpt.norm(name + ".in_layers.0", inputs)
        self.ckpt.conv(name + ".in_layers.2", inputs, outputs, 3)
        self.ckpt.linear(name + ".emb_layers.1", 4 * self.channels, outputs)
        self.ckpt.norm(name + ".out_layers.0", outputs)
        self.ckpt.conv(name + ".out_layers.3", outputs, outputs, 3)
        if inputs != outputs:
            self.ckpt.conv(name + ".skip_connection", inputs, outputs, 1)

    def transformer(self, name, width):
        self.ckpt.norm(name + ".norm", width)
        self.ckpt.conv(name + ".proj_in", width, width, 1)
        block = name + ".transformer_blocks.0."
        for attention, keys in (("attn1", width), ("attn2", self.context)):
            self.ckpt.linear(block + attention + ".to_q", width, width, bias=False)
            self.ckpt.linear(block + attention + ".to_k", keys, width, bias=False)
            self.ckpt.linear(block + attention + ".to_v", keys, width, bias=False)
            self.ckpt.linear(block + attention + ".to_out.0", width, width)
        self.ckpt.linear(block + "ff.net.0.proj", width, 8 * width)
        self.ckpt.linear(block + "ff.net.2", 4 * width, width)
        for number in (1, 2, 3):
            self.ckpt.norm(block + f"norm{number}", width)
        self.ckpt.conv(name + ".proj_out", width, width, 1)


def add_taesd(ckpt, latent=4):
    """`latent` is 16 for SD3, Flux and other transformer families."""

    def block(name):
        for layer in (0, 2, 4):
            ckpt.conv(f"{name}.conv.{layer}", 64, 64, 3)

    decoder, encoder = "decoder.layers.", "encoder.layers."
    ckpt.conv(decoder + "0", latent, 64, 3)
    ckpt.conv(encoder + "0", 3, 64, 3)
    for layer in (2, 3, 4, 7, 8, 9, 12, 13, 14, 17):
        block(decoder + str(layer))
    for layer in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13):
        block(encoder + str(layer))
    for layer in (6, 11, 16):
        ckpt.conv(decoder + str(layer), 64, 64, 3, bias=None)
    for layer in (2, 6, 10):
        ckpt.conv(encoder + str(layer), 64, 64, 3, bias=None)
    ckpt.conv(decoder + "18", 64, 3, 3, bias="half", kind="weight8")
    ckpt.conv(encoder + "14", 64, latent, 3)


def add_vae(ckpt, decoder_width=32, latent=4, mult=(1, 2, 4, 4)):
    prefix = "first_stage_model."

    def residual(name, inputs, outputs):
        ckpt.norm(name + ".norm1", inputs)
        ckpt.conv(name + ".conv1", inputs, outputs, 3)
        ckpt.norm(name + ".norm2", outputs)
        ckpt.conv(name + ".conv2", outputs, outputs, 3)
        if inputs != outputs:
            ckpt.conv(name + ".nin_shortcut", inputs, outputs, 1)

    def middle(name, width):
        residual(name + ".block_1", width, width)
        residual(name + ".block_2", width, width)
        ckpt.norm(name + ".attn_1.norm", width)
        for projection in ("q", "k", "v", "proj_out"):
            ckpt.conv(name + ".attn_1." + projection, width, width, 1)

    encoder, decoder, width = prefix + "encoder", prefix + "decoder", 128  # the encoder's width is fixed
    ckpt.conv(encoder + ".conv_in", 3, width, 3)
    for level, factor in enumerate(mult):
        for block in (0, 1):
            residual(f"{encoder}.down.{level}.block.{block}", width, factor * 128)
            width = factor * 128
        if level < 3:
            ckpt.conv(f"{encoder}.down.{level}.downsample.conv", width, width, 3)
    middle(encoder + ".mid", width)
    ckpt.norm(encoder + ".norm_out", width)
    ckpt.conv(encoder + ".conv_out", width, 2 * latent, 3)

    width = 4 * decoder_width
    ckpt.conv(decoder + ".conv_in", latent, width, 3)
    middle(decoder + ".mid", width)
    for level in (3, 2, 1, 0):
        for block in range(3):
            residual(f"{decoder}.up.{level}.block.{block}", width, mult[level] * decoder_width)
            width = mult[level] * decoder_width
        if level:
            ckpt.conv(f"{decoder}.up.{level}.upsample.conv", width, width, 3)
    ckpt.norm(decoder + ".norm_out", width)
    ckpt.conv(decoder + ".conv_out", width, 3, 3)
    ckpt.conv(prefix + "quant_conv", 2 * latent, 2 * latent, 1)
    ckpt.conv(prefix + "post_quant_conv", latent, latent, 1)


def add_esrgan(ckpt):
    """One RRDB block; two up convolutions make it x4."""
    for number in (1, 2, 3):
        for conv in range(1, 6):
            ckpt.conv(f"body.0.rdb{number}.conv{conv}", 64 + 32 * (conv - 1), 32 if conv < 5 else 64, 3)
    ckpt.conv("conv_first", 3, 64, 3)
    ckpt.conv("conv_last", 64, 3, 3, bias="half")
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        ckpt.conv(name, 64, 64, 3)


def add_lora(ckpt, channels=32, rank=4):
    """By the names that kohya's trainer gives."""
    for block, width in (("input_blocks_1_1", channels), ("input_blocks_4_1", 2 * channels), ("output_blocks_8_1", 2 * channels)):
        for matrix, inputs in (("attn1_to_q", width), ("attn1_to_v", width), ("attn2_to_k", 768), ("attn2_to_v", 768)):
            name = f"lora_unet_{block}_transformer_blocks_0_{matrix}"
            ckpt.add(name + ".lora_down.weight", rank, inputs)
            ckpt.add(name + ".lora_up.weight", width, rank)
            ckpt.add(name + ".alpha", kind="one")


def make_sd1(ckpt):
    Unet(ckpt).add()
    add_clip_l(ckpt)


def make_sd1vae(ckpt):
    make_sd1(ckpt)
    add_vae(ckpt)


def make_sd1old(ckpt):
    Unet(ckpt, channels=320, mult=(1, 2, 4), blocks_per_level=1, tiny=True).add()
    add_clip_l(ckpt)


KINDS = {
    "sd1old": make_sd1old,
    "sd1": make_sd1,
    "sd1vae": make_sd1vae,
    "taesd": add_taesd,
    "lora": add_lora,
    "esrgan": add_esrgan,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("file")
    parser.add_argument("--keep", action="store_true", help="leave a file alone that the same recipe made")
    arguments = parser.parse_args()
    ckpt = Checkpoint()
    KINDS[arguments.kind](ckpt)
    os.makedirs(os.path.dirname(os.path.abspath(arguments.file)), exist_ok=True)
    size = ckpt.save(arguments.file, weights_as_f8=arguments.kind == "sd1old", keep=arguments.keep)
    print(f"{arguments.file} {size} bytes, {len(ckpt.tensors)} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
