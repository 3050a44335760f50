"""Tables of losses: what a training mode minimises, a line per loss, each term with its weight."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch


class Loss(NamedTuple):
    """A line of a training mode's table.

    The function gets what the mode's trainer describes a step by (a NamedTuple beside the table)
    and returns a scalar, or a dict of scalars where it has several names. A name that it leaves out
    counts nothing in this step.
    """

    function: Callable
    weights: dict[str, float]  # name of a term -> its weight; 0: only where --weight asks for it


def choose_weights(
    table: Sequence[Loss],
    network: Any,
    given: Mapping[str, float] | Sequence[tuple[str, float]] = (),
) -> dict[str, float]:
    """Return {name: weight} of all terms: those of the table, the network's own, the user's.

    Args:
        table: sequence of Loss.
        network: class of the network to be trained, a models.roles.Network.
        given: {name: weight} that the user asked for.
    Raises:
        ValueError: a given name is not in the table; lists those that are.
    """
    weights = {name: weight for loss in table for name, weight in loss.weights.items()}
    unknown = [name for name in given if name not in weights]
    if unknown:
        known = ", ".join(f"{name} ({weight:g})" for name, weight in weights.items())
        raise ValueError(
            f"--weight {unknown[0]}: there is no such loss here.\n  There are, with "
            f"their weights: {known}."
        )
    own = {name: weight for name, weight in network.loss_weights.items() if name in weights}
    return weights | own | dict(given)


def weigh(
    table: Sequence[Loss], weights: Mapping[str, float], step: Any
) -> dict[str, torch.Tensor]:
    """Compute the terms of a step that weigh anything.

    Args:
        table: sequence of Loss.
        weights: {name: weight}, from `choose_weights`.
        step: what its functions take.
    Returns:
        {name: weighted scalar}; their sum is what is minimised.
    """
    terms: dict[str, torch.Tensor] = {}
    for loss in table:
        if not any(weights[name] for name in loss.weights):
            continue
        found = loss.function(step)
        if not isinstance(found, dict):
            found = {name: found for name in loss.weights}
        terms |= {name: weights[name] * value for name, value in found.items() if weights[name]}
    return terms
