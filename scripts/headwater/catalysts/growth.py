"""A skeleton grown from some tokens that recur, to the right and to the left, in turns.

All occurrences are walked along together. Where most go on with the same token, it is
fixed. Where they do not, but go on with the fill of an earlier slot, that slot recurs.
Else a slot opens, up to the nearest token that most of them reach within `LONGEST` and
that so many would not reach by chance. Those that go on otherwise are left behind; it
ends where too few would be left.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headwater.catalysts.skeleton import Fills, Skeleton, joined

MOST_ALIKE = 0.8  # share of the occurrences that go on alike
BY_CHANCE = 0.3  # how much more often a slot's end is reached than by chance
LEFT = 0.5  # share of the first occurrences that a skeleton must keep
LONGEST = 12  # tokens of a slot
AGAIN = 5  # fixed tokens by which a repetition is known
BEGUN = 3  # the same, if it ends with them
TURNS = 3  # each to the right and to the left: what is left behind clears the way
MOST_SYMBOLS = 64  # fixed tokens and slots

Row = Sequence[int]
Chance = Mapping[int, float]  # that a token is among any LONGEST + 1 ones


@dataclass(frozen=True)
class _Occurrence:
    """Where what has grown stands: in `row`, from `start` to `stop - 1`."""

    row: Row
    start: int
    stop: int
    fills: Fills


@dataclass
class _Walker:
    """An occurrence on its way: its row as it lies there, and how far it is."""

    row: Row
    place: int
    fills: Fills
    begun: _Occurrence


class _Growth:
    def __init__(
        self, walkers: list[_Walker], chance: Chance, before: Sequence[int | str]
    ) -> None:
        self.walkers, self._chance = walkers, chance
        self._fewest = max(2, LEFT * len(walkers))
        self.symbols: list[int | str] = []
        self._named = len({symbol for symbol in before if isinstance(symbol, str)})

    def run(self, most: int) -> None:
        """Grow by at most so many symbols."""
        while len(self.symbols) < most and (
            self._go_on_fixed() or self._go_on_again() or self._open_slot()
        ):
            pass

    def _go_on_fixed(self) -> bool:
        counts = Counter(w.row[w.place] for w in self.walkers if w.place < len(w.row))
        if not counts:
            return False
        token, often = counts.most_common(1)[0]
        if often < MOST_ALIKE * len(self.walkers) or often < self._fewest:
            return False
        self.walkers = [
            w for w in self.walkers if w.place < len(w.row) and w.row[w.place] == token
        ]
        for walker in self.walkers:
            walker.place += 1
        self.symbols.append(token)
        return True

    def _go_on_again(self) -> bool:
        for name in sorted(self.walkers[0].fills):
            kept = [w for w in self.walkers if self._stands(w, w.fills[name])]
            if len(kept) >= MOST_ALIKE * len(self.walkers) and (
                len(kept) >= self._fewest and len({w.fills[name] for w in kept}) > 1
            ):
                for walker in kept:
                    walker.place += len(walker.fills[name])
                self.walkers = kept
                self.symbols.append(name)
                return True
        return False

    @staticmethod
    def _stands(walker: _Walker, fill: tuple[int, ...]) -> bool:
        stop = walker.place + len(fill)
        return bool(fill) and tuple(walker.row[walker.place : stop]) == fill

    def _open_slot(self) -> bool:
        first: list[dict[int, int]] = [self._ahead(walker) for walker in self.walkers]
        reached = Counter(token for ahead in first for token in ahead)
        count = len(self.walkers)
        ends = {
            token: often
            for token, often in reached.items()
            if often >= max(MOST_ALIKE * count, self._fewest)
            and often / count - self._chance.get(token, 0.0) >= BY_CHANCE
        }
        if not ends:
            return False

        def nearness(token: int) -> tuple[float, int]:
            places = [ahead[token] for ahead in first if token in ahead]
            return sum(places) / len(places), token

        end = min(ends, key=nearness)
        name, kept = f"s{self._named}", []
        for walker, ahead in zip(self.walkers, first, strict=True):
            if end in ahead:
                stop = walker.place + ahead[end]
                walker.fills[name] = tuple(walker.row[walker.place : stop])
                walker.place = stop + 1
                kept.append(walker)
        self._named += 1
        self.walkers = kept
        self.symbols += [name, end]
        return True

    @staticmethod
    def _ahead(walker: _Walker) -> dict[int, int]:
        """Distance of the next occurrence of every token, at least one further on."""
        ahead: dict[int, int] = {}
        for distance in range(1, LONGEST + 1):
            if walker.place + distance >= len(walker.row):
                break
            ahead.setdefault(walker.row[walker.place + distance], distance)
        if ahead:  # one that stands at the place itself would leave the slot empty
            ahead.pop(walker.row[walker.place], None)
        return ahead


def grow(
    rows: Sequence[Row],
    places: Sequence[tuple[int, int]],
    seed: Sequence[int],
    chance: Chance,
    line_ends: frozenset[int] = frozenset(),
) -> Skeleton:
    """The skeleton around a seed.

    Args:
        rows: token ids, without padding.
        places: (row, start) of every occurrence of the seed.
        seed: its tokens.
        chance: that a token is among as many as a slot may have, and one.
        line_ends: tokens that end a line; a repeated unit is cut after one of them.
    """
    found = [_Occurrence(rows[n], at, at + len(seed), {}) for n, at in places]
    symbols: list[int | str] = [*seed]
    for _ in range(TURNS):
        grown = len(symbols)
        for turned in (False, True):
            way = _Growth([_walker(one, turned) for one in found], chance, symbols)
            way.run(MOST_SYMBOLS - len(symbols))
            found = [_arrived(walker, turned) for walker in way.walkers]
            own = way.symbols
            symbols = [*own[::-1], *symbols] if turned else [*symbols, *own]
        if len(symbols) == grown:
            break
    return _named(unit(symbols, line_ends), [one.fills for one in found])


def _walker(one: _Occurrence, turned: bool) -> _Walker:
    if not turned:
        return _Walker(one.row, one.stop, dict(one.fills), one)
    fills = {name: fill[::-1] for name, fill in one.fills.items()}
    return _Walker(one.row[: one.start][::-1], 0, fills, one)


def _arrived(walker: _Walker, turned: bool) -> _Occurrence:
    begun = walker.begun
    if not turned:
        return replace(begun, stop=walker.place, fills=walker.fills)
    fills = {name: fill[::-1] for name, fill in walker.fills.items()}
    return replace(begun, start=begun.start - walker.place, fills=fills)


def unit(
    symbols: Sequence[int | str], line_ends: frozenset[int]
) -> Sequence[int | str]:
    """What repeats, once; everything where nothing does.

    It repeats where it goes on as it began, for as long again or for `AGAIN` fixed
    tokens (`BEGUN`, if it ends with them); what comes behind them may be grown from
    fewer rows. What stands before may be shorter than it, if it repeats to the end.

    Of the places to cut it, one is taken that leaves slots together that recur; then
    the shortest part; then the most of such slots; then one behind the end of a line;
    then one without slots at its ends; then the first.
    """
    shape = [None if isinstance(symbol, str) else symbol for symbol in symbols]
    parts = []
    for begin, period in _periods(shape):
        for cut in range(begin, len(shape) - period + 1):
            behind = cut > 0 and shape[cut - 1] in line_ends
            part = symbols[cut : cut + period]
            part = part if behind else _trimmed(part)
            recurring = _recurring(part)
            places = behind, -len(part), -cut
            parts.append((recurring > 0, -period, recurring, *places, part))
    return max(parts, key=lambda entry: entry[:-1])[-1] if parts else symbols


def _periods(shape: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """Where something begins that repeats, and its length."""
    for begin in range(len(shape)):
        own = shape[begin:]
        for period in range(begin + 1, len(own)):
            again = 0
            while period + again < len(own) and own[period + again] == own[again]:
                again += 1
            fixed = sum(symbol is not None for symbol in own[:again])
            to_the_end = period + again == len(own)
            enough = BEGUN if to_the_end and not begin else AGAIN
            if (again >= period or fixed >= enough) and (to_the_end or not begin):
                yield begin, period


def _trimmed(symbols: Sequence[int | str]) -> Sequence[int | str]:
    """Without slots at the ends that stand nowhere else."""
    kept = [n for n, s in enumerate(symbols) if isinstance(s, int)]
    if not kept:
        return symbols
    first, last = kept[0], kept[-1] + 1
    inside = symbols[first:last]
    if first and symbols[0] in inside:
        first = 0
    if last < len(symbols) and symbols[-1] in inside:
        last = len(symbols)
    return symbols[first:last]


def _recurring(symbols: Sequence[int | str]) -> int:
    names = [symbol for symbol in symbols if isinstance(symbol, str)]
    return len(names) - len({*names})


def _named(symbols: Sequence[int | str], fills: Sequence[Fills]) -> Skeleton:
    """A skeleton whose slots are called A, B, ... in their order."""
    names = slot_names(symbol for symbol in symbols if isinstance(symbol, str))
    lengths = {}
    for slot, name in names.items():
        found = [len(own[slot]) for own in fills]
        lengths[name] = min(found), max(found)
    named = [names[s] if isinstance(s, str) else s for s in symbols]
    return Skeleton(joined(named), lengths)


def slot_names(slots: Iterable[str]) -> dict[str, str]:
    """What slots are called in their order: A, B, ..., Z, A1, B1, ..."""
    return {slot: _letter(number) for number, slot in enumerate(dict.fromkeys(slots))}


def _letter(number: int) -> str:
    turn, letter = divmod(number, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")
