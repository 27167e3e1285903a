"""Learned rules on disk: one `.npz` file of arrays with the card as JSON in it; nothing in it can run.

Rules of this room:
1. A file is data: arrays are read without pickle, the card is checked field by field.
2. A rule whose card says that it does not beat the default rule is refused at load; `override` is the user's
   own word that it is to be used all the same.
3. What is wrong with a file is one sentence with the remedy (`ConfigError`).
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gateway.decision.learned import BAND, Card, LearnedRule, Score
from gateway.errors import ConfigError

MAX_BYTES = 10_000_000
LAYERS = 8


def save(rule: LearnedRule, path: Path) -> None:
    """Write a rule; the file appears whole or not at all."""
    arrays: dict[str, Any] = {"card": np.array(json.dumps({"kind": rule.kind, **asdict(rule.card)}))}
    if rule.kind == BAND:
        arrays |= {"edges": rule.edges, "scale": rule.scale, "reset": rule.reset}
    for number, (matrix, bias) in enumerate(rule.layers):
        arrays |= {f"matrix{number}": matrix, f"bias{number}": bias}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def load(path: Path, *, override: bool = False) -> LearnedRule:
    """Read a rule; raises `ConfigError`, also when its card says it is not worth using."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes: no rule of ours is")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            rule = _read(dict(found))
    except OSError as problem:
        raise ConfigError(
            f"{path}: cannot be read ({problem.strerror or problem}); train one first"
        ) from None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError):
        raise ConfigError(f"{path}: not a learned rule; write one with `gateway train`") from None
    if flaw := rule.flaw():
        raise ConfigError(f"{path}: {flaw}")
    refusal = rule.card.verdict()
    if refusal and not override:
        raise ConfigError(f"{path}: {refusal}; train a better one, or set learned_override = true")
    return rule


def _read(arrays: dict[str, Any]) -> LearnedRule:
    described = json.loads(str(arrays["card"]))
    kind = str(described.pop("kind"))
    described["scores"] = tuple(Score(str(one["name"]), float(one["cost"])) for one in described["scores"])
    described["seeds"] = tuple(int(one) for one in described["seeds"])
    described["names"] = tuple(str(one) for one in described["names"])
    card = Card(**described)
    if kind == BAND:
        edges, scale, reset = (np.asarray(arrays[name], dtype=float) for name in ("edges", "scale", "reset"))
        return LearnedRule(kind, card, edges, scale, reset)
    layers = []
    for number in range(LAYERS):
        if f"matrix{number}" not in arrays:
            break
        matrix, bias = (np.asarray(arrays[f"{part}{number}"], dtype=float) for part in ("matrix", "bias"))
        layers.append((matrix, bias))
    return LearnedRule(kind, card, layers=tuple(layers))
