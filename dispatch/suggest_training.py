"""Making the learned model of categories from closed incidents, and measuring it on cases it has not seen.

The cases stand in order of time: the oldest 70 % teach, the next 10 % set the two exponents of the rule, the newest 20 %
measure. What is then used was taught by all of them. It is used only where, on the newest, it is right at least as
often as the keywords, both by itself and together with them. scikit-learn is needed here and nowhere else.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dispatch.suggest import Suggestion, suggest
from dispatch.suggest_learned import (
    MOST_SAID,
    LearnedModel,
    plain,
    pool,
    said_of,
    together,
)
from grid.core.values import dataclass

LEAST_CASES = 300
LEAST_OF_ONE = 5
"""A category with fewer cases is not learned."""
MOST_CASES = 50_000
"""Only the newest are learned from: habits change, and a night is short."""
MOST_PIECES = 20_000
TEACH, SET = 0.7, 0.8
LENIENCE = 10.0
"""How freely weights may grow (C of the logistic regression); sharpness corrects what that does to certainty."""
ROUNDS = 100
LEAST_EXPONENT, MOST_EXPONENT = 0.25, 8.0


@dataclass(frozen=True, slots=True)
class Case:
    """What was said of a closed incident, and the category it was closed with."""

    text: str
    category: str


@dataclass(frozen=True, slots=True)
class Figures:
    """How a model did on the newest cases: how many of them each way named right at first."""

    cases: int
    categories: int
    held_back: int
    keywords_right: int
    learned_right: int
    together_right: int

    @property
    def good_enough(self) -> bool:
        """Never worse than the keywords, by itself and together with them."""
        return self.held_back > 0 and self.keywords_right <= min(
            self.learned_right, self.together_right
        )


def train(cases: Sequence[Case]) -> tuple[LearnedModel, Figures] | None:
    """The model of cases in order of time, and how it did; None when there are too few to learn from.

    Too few: under LEAST_CASES, or fewer than two categories with LEAST_OF_ONE cases among the older ones.
    """
    cases = cases[-MOST_CASES:]
    if len(cases) < LEAST_CASES:
        return None
    taught, set_by = int(len(cases) * TEACH), int(len(cases) * SET)
    trial = _fitted(cases[:taught])
    if trial is None:
        return None
    trial = _with_exponents(trial, cases[taught:set_by])
    figures = _measured(trial, cases, cases[set_by:])
    whole = _fitted(cases)
    if whole is None:
        return None
    whole = replace(whole, sharpness=trial.sharpness, trust=trial.trust)
    return whole, replace(figures, categories=len(whole.categories))


def _fitted(cases: Sequence[Case]) -> LearnedModel | None:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    counted = Counter(case.category for case in cases)
    kept = [case for case in cases if counted[case.category] >= LEAST_OF_ONE]
    if len({case.category for case in kept}) < 2:
        return None
    reader = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), lowercase=False, preprocessor=plain, min_df=3,
        max_features=MOST_PIECES, sublinear_tf=True, dtype=np.float32,
    )  # fmt: skip
    model = LogisticRegression(C=LENIENCE, max_iter=ROUNDS)
    # One core is enough for a job of the night, and threads that wait for busy cores are slower than one.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Stopped before the last digit is right: nobody needs it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(reader.fit_transform([c.text for c in kept]), [c.category for c in kept])
    weights, base = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        # Of two categories only the second one's scores are told.
        weights, base = np.hstack([-weights, weights]) / 2, np.array([-base[0], base[0]]) / 2
    return LearnedModel(
        tuple(str(c) for c in model.classes_),
        {str(piece): int(row) for piece, row in reader.vocabulary_.items()},
        np.asarray(reader.idf_, dtype=np.float32),
        np.asarray(weights, dtype=np.float32),
        np.asarray(base, dtype=np.float32),
    )


def _with_exponents(model: LearnedModel, cases: Sequence[Case]) -> LearnedModel:
    """The exponents under which the certainty given to what was right is highest (least logarithmic loss)."""
    from scipy.optimize import minimize

    known = [case for case in cases if case.category in model.categories]
    if not known:
        return model
    shares = [_shares(suggest(case.text, at_most=MOST_SAID)) for case in known]
    own = np.array([model.certainties(case.text) for case in known])
    said = said_of(model.categories, shares)
    elsewhere = (np.array([sum(each.values()) for each in shares]) - said.sum(1)) * (1 - own.max(1))
    rest = (1 - elsewhere) * np.array([model.knows(case.text) for case in known])
    right = np.array([model.categories.index(case.category) for case in known])
    rows = np.arange(len(known))

    def loss(exponents: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        certain = pool(np.log(own), said, rest, float(exponents[0]), float(exponents[1]))
        return float(-np.log(certain[rows, right] + 1e-9).mean())

    bounds = [(LEAST_EXPONENT, MOST_EXPONENT)] * 2
    best = minimize(loss, np.ones(2), bounds=bounds, method="L-BFGS-B").x
    return replace(model, sharpness=float(best[0]), trust=float(best[1]))


def _measured(model: LearnedModel, cases: Sequence[Case], newest: Sequence[Case]) -> Figures:
    right = Counter[str]()
    for case in newest:
        said = suggest(case.text)
        own = model.categories[int(model.certainties(case.text).argmax())]
        both = together(case.text, model)
        right["keywords"] += _first(said) == case.category
        right["learned"] += own == case.category
        right["together"] += _first(both) == case.category
    return Figures(
        len(cases),
        len(model.categories),
        len(newest),
        right["keywords"],
        right["learned"],
        right["together"],
    )


def _first(found: Sequence[Suggestion]) -> str | None:
    return found[0].category if found else None


def _shares(found: Sequence[Suggestion]) -> dict[str, float]:
    return {each.category: each.certainty for each in found}
