"""Byte-level BPE: learned from the corpus a model is trained on, kept as ``tokenizer.json``.

Every text has an encoding, since the alphabet is the 256 bytes. It does not know the model.
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
"""The answer that a verb's own word stays as it is, whatever it is."""
SPECIAL: Final = (BOS, SEP, EOS, KEEP)
"""Tokens 0 to 3, in this order."""
BOS_ID, SEP_ID, EOS_ID, KEEP_ID = range(4)


def learn(texts: Iterable[str], vocab_size: int) -> str:
    """The ``tokenizer.json`` learned from ``texts``; the same texts give the same bytes."""
    # Threads count words in a racing order; one thread leaves nothing to the scheduler.
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
    """Text to token ids and back, by a ``tokenizer.json``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def read(cls, path: Path) -> Codec:
        """Read a ``tokenizer.json``; raises ``Exception`` where it is none (the library's own type)."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    @classmethod
    def of(cls, text: str) -> Codec:
        """Take the content of a ``tokenizer.json``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(text))

    @property
    def size(self) -> int:
        """Number of tokens, special ones included."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    def encode(self, text: str) -> list[int]:
        """Ids of a text, never a special token, whatever the text says."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token > KEEP_ID]

    def decode(self, ids: list[int]) -> str:
        """The text of ids; the space that encoding puts before the first word is taken away again."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text.removeprefix(" ")

    def starts_word(self) -> list[bool]:
        """For each id, whether a word may begin with it: it starts with a space or is a mark of its own."""
        size = self.size
        tokens = [self._tokenizer.id_to_token(token) or "" for token in range(size)]
        return [token.startswith("Ġ") or not token[:1].isalpha() for token in tokens]
