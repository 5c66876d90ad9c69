"""Byte-level BPE, learned from the model's training corpus and stored as ``tokenizer.json``.

Every text can be encoded, since the alphabet is the 256 bytes. This module does not know the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BOS: Final = "<bos>"
SEP: Final = "<sep>"
EOS: Final = "<eos>"
KEEP: Final = "<keep>"
"""The token that the model chooses to keep the written word, whatever it is."""
SPECIAL: Final = (BOS, SEP, EOS, KEEP)
"""Tokens 0 to 3, in this order."""
BOS_ID, SEP_ID, EOS_ID, KEEP_ID = range(4)


def learn(texts: Iterable[str], vocab_size: int) -> str:
    """Learn a ``tokenizer.json`` from ``texts``; the same texts give the same bytes."""
    # With several threads the order of counting words, and so the result, would depend on the scheduler.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    text: str = tokenizer.to_str(pretty=False)
    return text


class Codec:
    """Converts text to token ids and back by a ``tokenizer.json``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def read(cls, path: Path) -> Codec:
        """Read a ``tokenizer.json``; for an invalid file the library raises a bare ``Exception``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    @classmethod
    def of(cls, text: str) -> Codec:
        """Build a codec from the content of a ``tokenizer.json``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(text))

    @property
    def size(self) -> int:
        """The number of tokens, including the special ones."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text; never a special token, even if the text spells one."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token > KEEP_ID]

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, without the space that encoding adds before the first word."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text.removeprefix(" ")

    def starts_word(self) -> list[bool]:
        """Return for each id whether a word may begin with it: it starts with a space or is punctuation."""
        size = self.size
        tokens = [self._tokenizer.id_to_token(token) or "" for token in range(size)]
        return [token.startswith("Ġ") or not token[:1].isalpha() for token in tokens]
