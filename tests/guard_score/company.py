"""A company with a table of charges, and its honest nights. This module does not use the guards."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

COLUMNS = (
    "customer_no", "subscription_no", "product_code", "quantity", "unit_price", "vat_rate", "text", "start_date",
    "end_date",
)  # fmt: skip
STREETS = (
    "Storgatan",
    "Åsgatan",
    "Östra Hamngatan",
    "Kyrkbacken",
    "Ängsvägen",
    "Skolgatan",
    "Järnvägsgatan",
    "Parkvägen",
)
CODES = (
    "FIB10",
    "FIB50",
    "TV01",
    "TV02",
    "TEL",
    "MOB",
    "ELNÄT",
    "HYRA",
    "PARK",
    "SERV",
    "SUPP",
    "LIC",
    "VATT",
    "RENH",
    "LARM",
)
Row = dict[str, str]


@dataclass
class Product:
    """A product that the company sells.

    Attributes:
        own_prices: the share of charges whose price comes from an agreement with the customer.
        quantities: the largest usual quantity of a customer.
    """

    code: str
    price: Decimal | None
    vat: Decimal
    name: str
    own_prices: float = 0.05
    quantities: int = 1
    earlier: list[Decimal] = field(default_factory=list)


@dataclass
class Entry:
    """One charge as the company wants it billed."""

    customer: str
    subscription: str
    product: str
    quantity: int
    price: Decimal | None
    vat: Decimal
    text: str
    start: date
    end: date | None = None


class Company:
    """A company with its charges, products and habits; `night` simulates one day.

    A rich company has credits, subscriptions, and customer numbers with zeros in front.
    """

    def __init__(self, seed: int, customers: int | None = None, *, rich: bool = False) -> None:
        self.chance = chance = random.Random(seed)
        self.seed = seed
        self.today = date(2026, 1, 5) + timedelta(days=chance.randrange(300))
        self.prune = chance.random() < 0.5
        self.cache = chance.random() < 0.5
        self.scheme = "padded" if rich else chance.choice(("sequence", "sequence", "sparse", "padded", "letters"))
        self.with_subscriptions = rich or chance.random() < 0.6
        self.keeps_ended = chance.choice((0, 31, 10_000))  # days that ended charges stay in the file
        self.places = chance.choice((Decimal(1), Decimal("0.01"), Decimal("0.10")))
        left_out = [
            name for name, share in (("start_date", 0.12), ("text", 0.1), ("vat_rate", 0.1)) if chance.random() < share
        ]
        self.columns = tuple(name for name in COLUMNS if name not in left_out)
        self.products: dict[str, Product] = {}
        for code in chance.sample(CODES, chance.randint(3, 10)):
            self.products[code] = self._product(code)
        if rich or chance.random() < 0.6:
            self.products["RAB"] = Product(
                "RAB", -self._rounded(Decimal(chance.randint(20, 150))), Decimal(25), "Rabatt"
            )
        if chance.random() < 0.2:
            code = chance.choice([code for code in self.products if code != "RAB"])
            self.products[code].price = None
        self.weights = {code: 1 / (rank + 1) for rank, code in enumerate(self.products)}
        self.highest = chance.randint(1_000, 60_000)
        self.numbers: set[str] = set()
        self.keys: set[tuple[str, str, str, date]] = set()
        self.entries: list[Entry] = []
        self.risen: date | None = None
        self.campaign: tuple[str, Decimal] | None = None
        count = customers or round(math.exp(chance.uniform(math.log(30), math.log(3_000))))
        for _ in range(count):
            self._new_customer(self.today - timedelta(days=chance.randint(5, 1_500)))
        for entry in chance.sample(self.entries, max(1, len(self.entries) // 60)):  # terminations under way
            entry.end = self._month_end(self.today + timedelta(days=chance.randint(0, 50)))

    def _product(self, code: str) -> Product:
        chance = self.chance
        low, high = chance.choice(((19, 99), (99, 399), (199, 999), (500, 9_000)))
        return Product(
            code=code, price=self._rounded(Decimal(chance.randint(low * 10, high * 10)) / 10),
            vat=Decimal(chance.choices((25, 12, 6, 0), (80, 10, 6, 4))[0]), name=f"{code.title()} {chance.randint(1, 9)}00",
            own_prices=chance.choice((0.0, 0.03, 0.15)), quantities=chance.choice((1, 1, 1, 3, 20)),
        )  # fmt: skip

    def _rounded(self, price: Decimal) -> Decimal:
        return max(self.places, (price / self.places).quantize(Decimal(1), ROUND_HALF_UP) * self.places)

    def _month_end(self, day: date) -> date:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)

    def _number(self) -> str:
        chance = self.chance
        if self.scheme == "sparse":
            number = str(chance.randint(100_000, 99_999_999))
        else:
            self.highest += 1 if chance.random() < 0.9 else chance.randint(2, 4)
            number = {"sequence": "{}", "padded": "{:08}", "letters": "K-{}"}[self.scheme].format(self.highest)
        if number in self.numbers:
            return self._number()
        self.numbers.add(number)
        return number

    def _new_customer(self, start: date) -> None:
        number = self._number()
        for _ in range(self.chance.choice((1, 1, 2, 2, 3, 5))):
            self._new_charge(number, start)

    def _new_charge(
        self, customer: str, start: date, product: Product | None = None, price: Decimal | None = None
    ) -> None:
        chance = self.chance
        product = product or self.products[chance.choices(list(self.weights), list(self.weights.values()))[0]]
        usual = product.price
        if usual is not None and chance.random() < product.own_prices:
            usual = self._rounded(abs(usual) * Decimal(chance.randint(75, 98)) / 100) * (1 if usual > 0 else -1)
        subscription = ""
        if self.with_subscriptions and product.code != "RAB":
            mine = [
                entry.subscription for entry in self.entries[-6:] if entry.customer == customer and entry.subscription
            ]
            subscription = (
                chance.choice(mine) if mine and chance.random() < 0.5 else f"467{chance.randint(10**7, 10**8 - 1)}"
            )
        key = (customer, subscription, product.code, start)
        if key in self.keys:  # a system that has the same charge twice numbers them
            return
        self.keys.add(key)
        self.entries.append(
            Entry(
                customer=customer, subscription=subscription, product=product.code,
                quantity=chance.randint(1, product.quantities), price=usual if price is None else price, vat=product.vat,
                text=f"{product.name}, {chance.choice(STREETS)} {chance.randint(1, 99)}", start=start,
            )
        )  # fmt: skip

    # nights

    def night(self, kind: str) -> str:
        """Simulate one day. Return the kind of night that resulted."""
        self.today += timedelta(days=1)
        while kind == "month start" and self.today.day != 1:
            self.today += timedelta(days=1)
        self._every_day()
        return NIGHTS[kind](self) or kind

    @property
    def current(self) -> list[Entry]:
        """The charges without an end date."""
        return [entry for entry in self.entries if entry.end is None]

    def _some(self, share: float, least: int = 0) -> list[Entry]:
        """Return a random sample of about this share of the charges."""
        current = self.current
        mean = share * len(current)
        count = max(least, round(self.chance.gauss(mean, math.sqrt(mean)))) if mean else least
        return self.chance.sample(current, min(count, len(current) // 2))

    def _every_day(self) -> None:
        chance = self.chance
        for entry in self._some(0.0007):
            entry.quantity = max(1, entry.quantity + chance.choice((-1, 1, 1, 2)))
        for entry in self._some(0.0003):
            if entry.price is not None and entry.price > 0:  # a price from an agreement
                entry.price = self._rounded(entry.price * Decimal(chance.randint(70, 97)) / 100)
        for entry in self._some(0.0005):
            entry.text = f"{self.products[entry.product].name}, {chance.choice(STREETS)} {chance.randint(1, 99)}"
        for entry in self._some(0.001):
            self._new_charge(entry.customer, self._start())
        for entry in self._some(0.0006):
            entry.end = self._end()
        for _ in range(len(self._some(0.0005))):
            self._new_customer(self._start())
        ended = [entry for entry in self.entries if entry.end is not None and entry.end >= self.today]
        if ended and chance.random() < 0.05:  # a termination is withdrawn
            chance.choice(ended).end = None

    def _start(self) -> date:
        """Return a start date, mostly near today; sometimes 32 to 75 days ago, as if somebody was late."""
        chance = self.chance
        if chance.random() < 0.02:
            return self.today - timedelta(days=chance.randint(32, 75))
        first = (self.today.replace(day=1) + timedelta(days=32)).replace(day=1)
        return chance.choice((self.today, first, self.today + timedelta(days=chance.randint(-14, 45))))

    def _end(self) -> date:
        chance = self.chance
        return chance.choice((self._month_end(self.today), self._month_end(self.today + timedelta(days=92)), self.today,
                              self.today - timedelta(days=chance.randint(0, 20))))  # fmt: skip

    def quiet(self) -> None:
        """Change nothing beyond the changes of every day."""

    def growth(self) -> None:
        """Add many new customers."""
        customers = len({entry.customer for entry in self.current})
        for _ in range(max(1, round(customers * self.chance.uniform(0.002, 0.012)))):
            self._new_customer(self._start())

    def churn(self) -> None:
        """End many charges."""
        for entry in self._some(self.chance.uniform(0.004, 0.02), 1):
            entry.end = self._end()

    def month_start(self) -> None:
        """The first of a month: many charges end, and charges that ended long ago leave the file."""
        for entry in self._some(self.chance.uniform(0.01, 0.035), 1):
            entry.end = self._month_end(self.today)
        self.growth()

    def price_rise(self) -> str | None:
        """Raise all list prices by 3 to 5 percent, once a year; sometimes the agreed prices too."""
        if self.risen is not None and (self.today - self.risen).days < 300:
            return "quiet"
        self.risen = self.today
        factor = Decimal(self.chance.randint(300, 500)) / 10_000 + 1
        with_agreements = self.chance.random() < 0.5
        for product in self.products.values():
            if product.price is None or product.price < 0:
                continue
            old, new = product.price, self._rounded(product.price * factor)
            product.earlier.append(old)
            product.price = new
            for entry in self.entries:
                if entry.product != product.code or entry.price is None or self._over(entry):
                    continue
                if entry.price == old:
                    entry.price = new
                elif with_agreements:
                    entry.price = self._rounded(entry.price * factor)
        return None

    def _over(self, entry: Entry) -> bool:
        return entry.end is not None and entry.end < self.today

    def start_or_end_campaign(self) -> str:
        """A product that a minority has gets cheaper for all of them, or for new charges; or a campaign ends."""
        chance = self.chance
        if self.campaign:
            code, old = self.campaign
            self.campaign = None
            self._reprice(code, old)
            return "campaign ends"
        customers = {entry.customer for entry in self.current}
        side = [
            code for code, product in self.products.items()
            if product.price is not None and product.price > 0
            and len({entry.customer for entry in self.current if entry.product == code}) < 0.3 * len(customers)
        ]  # fmt: skip
        if not side:
            return "quiet"
        code = chance.choice(side)
        price = self.products[code].price
        if price is None or price < 0:
            return "quiet"
        cheap = self._rounded(price * Decimal(chance.randint(70, 90)) / 100)
        if chance.random() < 0.5:
            self.campaign = (code, price)
            self._reprice(code, cheap)
            return "campaign for all"
        for entry in self._some(0.008, 1):
            self._new_charge(entry.customer, self._start(), self.products[code], cheap)
        return "campaign for new charges"

    def _reprice(self, code: str, new: Decimal) -> None:
        product = self.products[code]
        for entry in self.entries:
            if entry.product == code and entry.price == product.price and not self._over(entry):
                entry.price = new
        product.price = new

    def vat_change(self) -> None:
        """The rate of one product changes by law."""
        product = self.chance.choice([each for each in self.products.values() if each.vat])
        product.vat = {Decimal(25): Decimal(12), Decimal(12): Decimal(6), Decimal(6): Decimal(12)}[product.vat]
        for entry in self.entries:
            if entry.product == product.code and not self._over(entry):
                entry.vat = product.vat

    def new_product(self) -> None:
        """A product that nobody had, for the first customers that order it."""
        code = f"N{self.chance.randint(10, 99)}"
        product = self.products.get(code)
        if product is None:
            product = self.products[code] = self._product(code)
            prices = sorted(each.price for each in self.products.values() if each.price is not None and each.price > 0)
            product.price = self._rounded(prices[len(prices) // 2] * Decimal(self.chance.randint(30, 150)) / 100)
            product.quantities = self.chance.choice((1, 1, 3))
        self.weights[code] = 0.3
        for entry in self._some(self.chance.uniform(0.003, 0.012), 1):
            self._new_charge(entry.customer, self._start(), product)

    # nights that were added after the guards were finished

    def bulk_order(self) -> None:
        """A customer that has some charges orders one product for ten to thirty places."""
        entry = self.chance.choice(self.current)
        for _ in range(self.chance.randint(10, 30)):
            self._new_charge(entry.customer, self.today, self.products[entry.product])

    def meter_readings(self) -> str | None:
        """The quantity of one product is the meter reading of the month."""
        metered = [code for code, product in self.products.items() if product.quantities > 1]
        if not metered:
            return "quiet"
        code = self.chance.choice(metered)
        for entry in self.current:
            if entry.product == code:
                entry.quantity = max(1, round(entry.quantity * self.chance.uniform(0.8, 1.25)))
        return None

    def renamed_product(self) -> None:
        """Marketing gives a product a new name."""
        product = self.chance.choice(list(self.products.values()))
        for entry in self.current:
            if entry.product == product.code:
                entry.text = entry.text.replace(product.name, f"{product.name} Plus")
        product.name += " Plus"

    def late_deliveries(self) -> None:
        """Charges that have not begun start two weeks later."""
        for entry in self.current:
            if entry.start > self.today and self.chance.random() < 0.3:
                entry.start += timedelta(days=14)

    # the file

    def file(self) -> list[Row]:
        """Return tonight's table, as cells."""
        shown = [
            entry for entry in self.entries
            if entry.end is None or (self.today - entry.end).days <= self.keeps_ended
        ]  # fmt: skip
        return [
            {
                "customer_no": entry.customer, "subscription_no": entry.subscription, "product_code": entry.product,
                "quantity": str(entry.quantity), "unit_price": "" if entry.price is None else f"{entry.price:.2f}",
                "vat_rate": f"{entry.vat:.2f}", "text": entry.text, "start_date": entry.start.isoformat(),
                "end_date": entry.end.isoformat() if entry.end else "",
            }
            for entry in sorted(shown, key=lambda entry: entry.customer)
        ]  # fmt: skip

    def old_prices(self) -> list[Row]:
        """Return tonight's table with the list prices before the last rise."""
        back = {
            (product.code, product.price): product.earlier[-1] for product in self.products.values() if product.earlier
        }
        kept, self.entries = self.entries, [
            replace(entry, price=back.get((entry.product, entry.price), entry.price)) for entry in self.entries
        ]  # fmt: skip
        try:
            return self.file()
        finally:
            self.entries = kept


NIGHTS: dict[str, Callable[[Company], str | None]] = {
    "quiet": Company.quiet,
    "growth": Company.growth,
    "churn": Company.churn,
    "month start": Company.month_start,
    "price rise": Company.price_rise,
    "campaign": Company.start_or_end_campaign,
    "VAT change": Company.vat_change,
    "new product": Company.new_product,
}
WEIGHTS = {
    "quiet": 34, "growth": 15, "churn": 13, "month start": 11, "price rise": 6, "campaign": 10, "VAT change": 3,
    "new product": 8,
}  # fmt: skip
LATER = {
    "bulk order": Company.bulk_order,
    "meter readings": Company.meter_readings,
    "renamed product": Company.renamed_product,
    "late deliveries": Company.late_deliveries,
}
NIGHTS |= LATER
LATER_WEIGHTS = WEIGHTS | dict.fromkeys(LATER, 25)
