"""A refusal in plain words: why nothing can be promised, how much is missing, and what could be had instead. Pure."""

import math
from collections.abc import Iterator

from inspector.training.decision_fit.fit import LEAST_FOR_TEMPERATURE, Refused, Wish
from inspector.training.decision_fit.outlook import Offer, offer
from inspector.training.decision_fit.words import Basis, groups, percent, promise


def refused_lines(refused: Refused, wish: Wish, basis: Basis, labels: int) -> list[str]:
    """Return the reason and what would help, one line each."""
    if refused.cause == "few":
        return list(_few(refused, wish, basis, labels))
    if refused.cause == "hidden":
        return list(_hidden(refused, wish, basis))
    return list(_review(refused, wish, basis))


def _few(refused: Refused, wish: Wish, basis: Basis, labels: int) -> Iterator[str]:
    """Yield how many parts are missing."""
    have, own = basis.defective_groups, LEAST_FOR_TEMPERATURE if labels > 2 else 0
    needed = (refused.bound.groups_for(wish.max_escape) or 0) + own
    yield f"too few parts to promise that {promise(wish)}"
    yield f"seen on: {basis.line()}"
    usable = max(0, have - own)
    if not usable:
        yield "so few defective parts say nothing about escapes"
    else:
        smallest = percent(refused.bound.largest_rate(0.0, usable))
        yield f"with defective parts in {groups(have)} the smallest escape rate that can be promised is {smallest}, if none passes"
    temperature = f" ({own} of them for the temperature)" if own else ""
    more = max(needed - have, 1)
    yield f"{percent(wish.max_escape)} needs {needed} groups with defective parts{temperature}: {more} more, and others if some pass"
    yield "pictures of one group are not independent of each other: more pictures of the same groups do not help"


def _hidden(refused: Refused, wish: Wish, basis: Basis) -> Iterator[str]:
    """Yield why a promise would let nothing pass."""
    if basis.defective == basis.pictures:
        yield "there is no good picture among these: what passes cannot be told; add good parts"
        return
    yield f"a promise of {percent(wish.max_escape)} would let nothing pass: to the model some defective parts look better than any good one"
    yield f"seen on: {basis.line()}"
    yield from _instead(refused, _offer(refused, wish, 0.5), 0.5)
    yield "train with more pictures of the defects that pass, then calibrate again"


def _review(refused: Refused, wish: Wish, basis: Basis) -> Iterator[str]:
    """Yield how few reviews are reachable."""
    least, wished = refused.least_review or 0.0, wish.max_review or 0.0
    if refused.pass_above is None:
        yield f"{percent(least)} of these pictures get no verdict and go to review, {percent(wished)} is wished at most"
        return
    reviewed = f"at least {percent(least)} of these pictures to review"
    yield f"a promise of {percent(wish.max_escape)} sends {reviewed}, {percent(wished)} is wished at most"
    yield f"seen on: {basis.line()}"
    yield from _instead(refused, _offer(refused, wish, wished), wished)
    yield f"or leave --max-review out and review {percent(least)}"


def _offer(refused: Refused, wish: Wish, max_review: float) -> Offer | None:
    if refused.scores is None or not refused.steps.groups:
        return None
    return offer(refused.steps, refused.scores, refused.bound, wish.max_escape, max_review)


def _instead(refused: Refused, found: Offer | None, max_review: float) -> Iterator[str]:
    """Yield which promise goes with so few reviews, and which parts would bring both."""
    if found is None:
        yield f"no threshold brings review to {percent(max_review)}: the model is not sure enough of these pictures"
        return
    passing, escape = percent(found.loss_rate), f"--max-escape {_upwards(found.proved):g}"
    yield f"{percent(found.review)} to review goes with {escape}: {passing} of these defective parts pass then"
    if found.groups is not None and found.groups > refused.steps.groups:
        more = found.groups - refused.steps.groups
        yield f"about {more} more groups with defective parts would bring both, if they look like these"


def _upwards(rate: float) -> float:
    """Return a rate rounded up to a short number, so that asking for it succeeds."""
    digits = max(3, 2 - math.floor(math.log10(rate)))
    return math.ceil(rate * 10**digits) / 10**digits
