"""Sentences as vectors, by the embedding model that the package wordllama ships: 256 numbers each, and no download."""

import hashlib
from pathlib import Path

import wordllama

FOLDER = Path(wordllama.__file__).parent
WEIGHTS = FOLDER / "weights" / "l2_supercat_256.safetensors"


def load():
    """The embedding model, from the files of the installed package."""
    # Without cache_dir the package does not find the tokenizer that it ships, and asks a hub for it.
    return wordllama.WordLlama.load(dim=256, cache_dir=FOLDER, disable_download=True)


def digest():
    """The SHA-256 of its weights, which the classifier records: under another embedding its head means nothing."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
