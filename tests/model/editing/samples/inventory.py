"""Stock of a small shop."""

import json
from dataclasses import dataclass
from functools import cache

LIMIT = 100  # items per shelf


@dataclass
class Item:
    """One kind of thing on the shelf."""

    name: str
    price: float
    count: int = 0

    @property
    def value(self) -> float:
        if self.count < 0:
            raise ValueError(f"negative count: {self.count}")
        return self.price * self.count

    def take(self, wanted: int) -> int:
        taken = min(wanted, self.count)
        self.count -= taken
        return taken


class Shelf:
    def __init__(self, items=()):
        self.items = {item.name: item for item in items}

    @staticmethod
    def from_json(text):
        rows = json.loads(text)
        return Shelf(Item(row["name"], row["price"]) for row in rows)

    async def refill(self, source, amount=LIMIT):
        for item in self.items.values():
            missing = amount - item.count
            if missing > 0:
                item.count += await source.fetch(item.name, missing)


@cache
def best_price(prices):
    def weight(price):
        return price.value / price.days

    ordered = sorted(prices, key=weight)
    # the cheapest comes first
    return ordered[0]


def report(shelf):
    lines = []
    for name, item in sorted(shelf.items.items()):
        text = f"{name}: {item.count}"
        lines.append(text)
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(Shelf()))
