"""A loaded bundle that answers learners' texts.

The model chooses a form for each verb the lesson covers. All other characters are returned unchanged, since an answer
consists only of the text and the chosen forms. This module does not know HTTP or where bundles come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from minitutor import explain, lattice, parse, pins, weights
from minitutor.answers import Answer
from minitutor.decode import Chosen, Decoder, Item
from minitutor.engine import Engine
from minitutor.lattice import Arc
from minitutor.problems import BadInput
from minitutor.tokenizer import Codec

BATCH: Final = 32

_OUTSIDE: Final = "This sentence is outside what the lesson covers."


class Tutor:
    """Answers texts with one bundle; not thread-safe."""

    def __init__(self, engine: Engine, codec: Codec) -> None:
        self._codec = codec
        self.decoder = Decoder(engine)

    @classmethod
    def load(cls, bundle: Path, parent: Path | None = None) -> Tutor:
        """Load a bundle directory, for an adapter with its parent's; raises BadInput if it cannot be used."""
        found = weights.read(bundle, parent)
        engine = Engine.of(found, bundle)
        if engine.shape.context < lattice.LONGEST:
            raise BadInput(
                f"{bundle} has a context of {engine.shape.context} tokens, but prompts need up to {lattice.LONGEST}",
                "train it with a longer context",
            )
        # The environment variables of ``pins`` have no effect if the process loaded BLAS before they were set.
        pins.one_thread()
        try:
            codec = Codec.read(found.source / "tokenizer.json")
        except Exception as error:
            # The library raises bare Exception.
            raise BadInput(f"the tokenizer.json of {bundle} is invalid: {error}", "train the bundle again") from error
        if codec.size != engine.shape.vocab_size:
            raise BadInput(
                f"the tokenizer of {bundle} has {codec.size} tokens, its model {engine.shape.vocab_size}",
                "take both files from one training",
            )
        return cls(engine, codec)

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """Answer each text; an answer does not depend on the other texts of the batch."""
        began = perf_counter()
        read = [lattice.arcs(text, self._codec) for text in texts]
        tokenize = (perf_counter() - began) / max(1, len(texts))
        chosen = iter(self._choose([arc for arcs in read for arc in arcs]))
        return [
            _answer_of(text, arcs, [next(chosen) for _ in arcs], tokenize)
            for text, arcs in zip(texts, read, strict=True)
        ]

    def _choose(self, arcs: Sequence[Arc]) -> list[Chosen]:
        """Choose a form for each arc, batching arcs of similar size."""
        items = [Item(arc.prompt, arc.forms) for arc in arcs]
        order = sorted(range(len(items)), key=lambda at: items[at].size)
        done: dict[int, Chosen] = {}
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            done.update(zip(part, self.decoder.choose([items[at] for at in part]), strict=True))
        return [done[at] for at in range(len(items))]


def _answer_of(text: str, arcs: Sequence[Arc], chosen: Sequence[Chosen], tokenize: float) -> Answer:
    """Build the answer to a text from the form chosen for each of its verbs."""
    began = perf_counter()
    made = lattice.edits(arcs, [choice.at for choice in chosen])
    about = parse.chosen([arc.clause for arc in arcs])
    fields: dict[str, object] = {"explanation": _OUTSIDE, "spanish": None, "edits": []}
    if about is not None:
        word = next((edit.after for edit in made if edit.begin == about.at), about.form)
        fields = {
            "explanation": explain.explanation(about, word, others=len(made) > (word != about.form)),
            "spanish": explain.spanish(about),
            "edits": msgspec.to_builtins(made),
        }
    return Answer(
        output=lattice.applied(text, made),
        accepted=about is not None and not made,
        in_scope=about is not None,
        input_tokens=sum(len(arc.prompt) for arc in arcs),
        output_tokens=sum(len(arc.forms[choice.at]) for arc, choice in zip(arcs, chosen, strict=True)),
        fields=fields,
        features=explain.features(about, text, made),
        stages={
            "tokenize": tokenize,
            "prefill": sum(choice.prefill for choice in chosen),
            "decode": sum(choice.decode for choice in chosen),
            "format": perf_counter() - began,
        },
    )
