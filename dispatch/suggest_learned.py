"""What the bureau's own closed incidents teach: which category goes with which pieces of words.

A linear model over pieces of one to three characters (so it needs no dictionary and reads both languages), kept as
plain numbers: used with numpy alone, written without pickle. Digits all count as 0, and a piece must occur in several
incidents to be kept, so that no telephone number and no single person's name gets in.

How words and model go together (DECISIONS.md, 65): for categories the model has learned, certainty is in proportion to
model^sharpness * (keywords + 0.01)^trust; a category it never learned has what the keywords give it times what the
model leaves open (1 less its own best certainty), and the others share the rest, times the part of the text's pairs of
characters that the model has met; a text of which it has met less than half is left to the keywords.
"""

from __future__ import annotations

import io
import math
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dispatch.suggest import Source, Suggestion, suggest
from grid.core.errors import BadInput
from grid.core.values import dataclass

Floats = NDArray[np.float32]
LONGEST_PIECE = 3
LONGEST_READ = 2_000
LEAST_KNOWN = 0.5
LEAST_CERTAINTY = 0.05
"""A category less certain than this is not worth showing."""
MOST_SAID = 10
"""Categories that keywords may name at once."""
UNSAID = 0.01
"""What a category counts that no keyword names: little, not nothing."""
_DIGIT = re.compile(r"\d")
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """Pieces with their rarity and weights, a row each; one column for each category, with its base.

    `sharpness` and `trust` are the two exponents of the rule above, set on cases that were held back.
    """

    categories: tuple[str, ...]
    pieces: Mapping[str, int]
    rarity: Floats
    weights: Floats
    base: Floats
    sharpness: float = 1.0
    trust: float = 1.0

    def certainties(self, text: str) -> NDArray[np.float64]:
        """The model's own certainty of each of its categories; they add up to 1."""
        counted = Counter(piece for piece in pieces_of(plain(text)) if piece in self.pieces)
        rows = np.array([self.pieces[piece] for piece in counted], dtype=np.intp)
        times = 1.0 + np.log(np.array(list(counted.values()), dtype=np.float64))
        value = times * self.rarity[rows]
        length = math.sqrt(float(value @ value)) or 1.0
        return softmax(self.base + (value / length) @ self.weights[rows])

    def knows(self, text: str) -> float:
        """The share of a text's pairs of characters that the model has met."""
        pairs = [a + b for a, b in pairwise(plain(text))]
        return sum(pair in self.pieces for pair in pairs) / len(pairs) if pairs else 0.0


def plain(text: str) -> str:
    """A text as the model reads it: one width, small letters, every digit 0, single blanks."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST_READ]).lower()
    return _BLANK.sub(" ", _DIGIT.sub("0", folded)).strip()


def pieces_of(text: str) -> list[str]:
    """All runs of one to three characters."""
    return [
        text[at : at + size]
        for size in range(1, LONGEST_PIECE + 1)
        for at in range(len(text) - size + 1)
    ]


def together(text: str, model: LearnedModel | None, at_most: int = 3) -> list[Suggestion]:
    """Keywords and model by the one rule, best first; ties go to the lower code."""
    keywords = suggest(text, at_most=MOST_SAID)
    known_share = model.knows(text) if model is not None else 0.0
    if model is None or known_share < LEAST_KNOWN:
        return keywords[:at_most]
    said = {each.category: each for each in keywords}
    shares = {each.category: each.certainty for each in keywords}
    own = model.certainties(text)
    left_open = 1.0 - float(own.max())
    known = set(model.categories)
    elsewhere = {c: share * left_open for c, share in shares.items() if c not in known}
    pooled = pool(
        np.log(own)[None],
        said_of(model.categories, [shares]),
        [known_share * (1.0 - sum(elsewhere.values()))],
        model.sharpness,
        model.trust,
    )[0]
    certainty = {**elsewhere, **dict(zip(model.categories, pooled.tolist(), strict=True))}
    learned = dict(zip(model.categories, own.tolist(), strict=True))
    ranked = sorted(certainty, key=lambda category: (-certainty[category], category))
    return [
        Suggestion(
            category,
            round(certainty[category], 3),
            said[category].words if category in said else (),
            _source(category in said, learned.get(category, 0.0)),
        )
        for category in ranked[:at_most]
        if certainty[category] >= LEAST_CERTAINTY
    ]


def _source(by_keywords: bool, learned: float) -> Source:
    """Who speaks for a category: the model does from LEAST_CERTAINTY on."""
    if by_keywords:
        return "both" if learned >= LEAST_CERTAINTY else "keywords"
    return "learned"


def pool(
    log_own: NDArray[np.float64],
    said: NDArray[np.float64],
    rest: Sequence[float] | NDArray[np.float64],
    sharpness: float,
    trust: float,
) -> NDArray[np.float64]:
    """The rule for many texts: (N, categories) logarithms of the model's certainty and the keywords' certainty.

    `rest` (N) is what the learned categories share: what those never learned leave, times the part of the text known.
    """
    weighed = sharpness * log_own + trust * np.log(said + UNSAID)
    pooled: NDArray[np.float64] = softmax(weighed) * np.asarray(rest)[:, None]
    return pooled


def said_of(categories: Sequence[str], said: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """The keywords' certainty as (N, categories)."""
    return np.array([[each.get(c, 0.0) for c in categories] for each in said], dtype=np.float64)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores as shares of 1 along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def to_bytes(model: LearnedModel) -> bytes:
    """A model as numpy's npz without pickled objects; weights rounded to half precision, which is plenty."""
    held = io.BytesIO()
    pieces = sorted(model.pieces, key=model.pieces.__getitem__)
    np.savez_compressed(
        held,
        categories=np.array(model.categories),
        pieces=np.array(pieces),
        rarity=model.rarity,
        weights=model.weights.astype(np.float16),
        base=model.base,
        exponents=np.array([model.sharpness, model.trust]),
    )
    return held.getvalue()


def from_bytes(written: bytes) -> LearnedModel:
    """The model of `to_bytes`; BadInput `suggest.model_unreadable` when it is none."""
    try:
        with np.load(io.BytesIO(written), allow_pickle=False) as held:
            model = LearnedModel(
                tuple(held["categories"].tolist()),
                {piece: row for row, piece in enumerate(held["pieces"].tolist())},
                held["rarity"].astype(np.float32),
                held["weights"].astype(np.float32),
                held["base"].astype(np.float32),
                *held["exponents"].tolist(),
            )
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, TypeError) as error:
        raise BadInput("suggest.model_unreadable") from error
    shape = (len(model.pieces), len(model.categories))
    if (
        model.weights.shape != shape
        or model.rarity.shape != shape[:1]
        or model.base.shape != shape[1:]
    ):
        raise BadInput("suggest.model_unreadable")
    return model
