"""A loaded bundle that answers learners' texts.

A text is answered sentence by sentence: a sentence with a clause of the grid goes through the model, every
other character comes back as it was. It does not know HTTP or where bundles come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from minitutor import explain, parse, pins, weights
from minitutor.answers import Answer
from minitutor.decode import Decoded, Decoder
from minitutor.engine import Engine
from minitutor.parse import Parsed
from minitutor.problems import BadInput
from minitutor.tokenizer import Codec

BATCH = 32

_OUTSIDE = "This sentence is outside what the lesson covers."


class _Piece(msgspec.Struct, frozen=True):
    """One sentence for the model: where it stands in its text, and its tokens."""

    begin: int
    end: int
    ids: list[int]


class Tutor:
    """Answers texts with one bundle. Not thread-safe: one caller at a time."""

    def __init__(self, engine: Engine, codec: Codec) -> None:
        self._codec = codec
        self._longest = engine.shape.longest
        self.decoder = Decoder(engine, codec.starts_word())

    @classmethod
    def load(cls, bundle: Path, parent: Path | None = None) -> Tutor:
        """Load a bundle directory, an adapter with its parent's; raises BadInput where it is none of this workload."""
        found = weights.read(bundle, parent)
        engine = Engine.of(found, bundle)
        # The environment says so to a BLAS not yet loaded; another part of the process may have loaded it before.
        pins.one_thread()
        try:
            codec = Codec.read(found.source / "tokenizer.json")
        except Exception as error:
            # The library raises bare Exception.
            raise BadInput(f"the tokenizer.json of {bundle} is none: {error}", "train the bundle again") from error
        if codec.size != engine.shape.vocab_size:
            raise BadInput(
                f"the tokenizer of {bundle} has {codec.size} tokens, its model {engine.shape.vocab_size}",
                "take both files from one training",
            )
        return cls(engine, codec)

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """Answer each text; no answer depends on its neighbours in the batch."""
        began = perf_counter()
        read = [self._read(text) for text in texts]
        tokenize = (perf_counter() - began) / max(1, len(texts))
        pieces = [piece.ids for _, found in read for piece in found]
        decoded = iter(self.correct(pieces))
        return [
            self._said(text, parsed, found, [next(decoded) for _ in found], tokenize)
            for text, (parsed, found) in zip(texts, read, strict=True)
        ]

    def correct(self, sentences: Sequence[list[int]]) -> list[Decoded]:
        """Correct tokenised sentences, the ones of a length together."""
        order = sorted(range(len(sentences)), key=lambda at: len(sentences[at]))
        done: dict[int, Decoded] = {}
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            done.update(zip(part, self.decoder.decode([sentences[at] for at in part]), strict=True))
        return [done[at] for at in range(len(sentences))]

    def _read(self, text: str) -> tuple[Parsed | None, list[_Piece]]:
        """The clause a text is about, and the sentences the model is asked for; none of both where out of scope."""
        pieces = []
        for begin, end in parse.sentences(text):
            sentence = text[begin:end]
            if parse.parse(sentence) is None:
                continue
            ids = self._codec.encode(sentence)
            # A text that spells a special token or is not the model's alphabet would come back changed.
            if len(ids) <= self._longest and self._codec.decode(ids) == sentence:
                pieces.append(_Piece(begin, end, ids))
        parsed = parse.parse(text) if pieces else None
        in_pieces = parsed is not None and any(piece.begin <= parsed.at < piece.end for piece in pieces)
        return (parsed, pieces) if in_pieces else (None, [])

    def _said(
        self, text: str, parsed: Parsed | None, pieces: list[_Piece], decoded: list[Decoded], tokenize: float
    ) -> Answer:
        began = perf_counter()
        output = text
        for piece, result in reversed(list(zip(pieces, decoded, strict=True))):
            output = output[: piece.begin] + self._codec.decode(result.ids) + output[piece.end :]
        fields: dict[str, str | None] = {"explanation": _OUTSIDE, "spanish": None}
        if parsed is not None:
            word = explain.changed_word(text, output, parsed.at, parsed.form)
            fields = {
                "explanation": explain.explanation(parsed, word, changed=output != text),
                "spanish": parsed.cell.spanish,
            }
        return Answer(
            output=output,
            accepted=parsed is not None and output == text,
            in_scope=parsed is not None,
            input_tokens=sum(len(piece.ids) for piece in pieces),
            output_tokens=sum(len(result.ids) for result in decoded),
            fields=fields,
            features=explain.features(parsed, text),
            stages={
                "tokenize": tokenize,
                "prefill": sum(result.prefill for result in decoded),
                "decode": sum(result.decode for result in decoded),
                "format": perf_counter() - began,
            },
        )
