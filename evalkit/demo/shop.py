"""The shop behind the support agent: what its systems know of a request, and what they return."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.core.values import Json, derive_id
from evalkit.demo.assets import authored_files

FREE_FROM_CENTS = 10_000
"""Orders of this value travel free."""

FEES = {"PostNL": 490, "DHL": 490}
USUAL_FEE = 690
LABEL_FEE = 690
VOUCHER = "10.00"
MONTHS_DE = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
    *("Oktober", "November", "Dezember"),
)

DAYS = ("placed", "promised", "delivered", "scanned", "expected")
"""Facts of an order that count days back from the request."""

SECTION = re.compile(r"^## (\w\d) (.+)\n((?:(?!## ).*\n?)*)", re.MULTILINE)


class Day(dt.date):
    """A day as letters name it: ``28 April``; also ``iso``, ``year`` and ``de`` as format."""

    def __format__(self, form: str) -> str:
        if form == "iso":
            return self.isoformat()
        if form == "de":
            return f"{self.day}. {MONTHS_DE[self.month - 1]}"
        return self.strftime(f"{self.day} %B %Y" if form == "year" else f"{self.day} %B")

    @classmethod
    def of(cls, day: dt.date) -> Day:
        """The same day."""
        return cls(day.year, day.month, day.day)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the agent.

    Attributes:
        name: Its name.
        about: What it is for.
        seconds: How long it takes on average.
        given: Its arguments, facts in braces.
        gives: What it returns, facts in braces.
    """

    name: str
    about: str
    seconds: float
    given: Mapping[str, Json]
    gives: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's systems.

    Attributes:
        tools: The agent's tools, by name.
        prompts: What the model is told, by route.
        products: Number and price in cents, by title.
        policies: Documents in MLflow's form, by section.
    """

    tools: Mapping[str, Tool]
    prompts: Mapping[str, str]
    products: Mapping[str, tuple[str, int]]
    policies: Mapping[str, Json]

    @classmethod
    def open(cls, systems: Mapping[str, Any]) -> Shop:
        """The shop as ``traffic/systems.yaml`` describes it."""
        tools = {name: Tool(name, **told) for name, told in systems["tools"].items()}
        return cls(tools, systems["prompts"], systems["products"], dict(_policies()))

    def facts(self, entry: Mapping[str, Any], moment: dt.datetime) -> dict[str, Any]:
        """What there is to know about a request, by the names that texts put in braces.

        Args:
            entry: The request, as a file of ``traffic`` holds it.
            moment: When it came in.
        """
        who = entry.get("who", "")
        facts = {
            "name": who,
            "customer_id": "cust_" + derive_id("customer", who, length=8),
            "voucher_amount": entry.get("voucher_amount", VOUCHER),
            "voucher": f"QV-{_serial('voucher', who, entry['at'])}",
            "tomorrow": Day.of(moment.date() + dt.timedelta(days=1)),
            **{key: entry[key] for key in ("vat", "coupon", "team") if key in entry},
        }
        if card := entry.get("card"):
            facts |= {
                "card": card["number"],
                "balance": card["balance"],
                "valid_until": Day.of(moment.date() + dt.timedelta(days=card["valid_for"])),
            }
        if order := entry.get("order"):
            facts |= self._order(order, moment) | _papers(order["number"])
        return facts

    def _order(self, order: Mapping[str, Any], moment: dt.datetime) -> dict[str, Any]:
        sku, price = self.products[order["item"]]
        quantity = order.get("quantity", 1)
        goods = price * quantity
        fee = 0 if goods >= FREE_FROM_CENTS else FEES.get(order["carrier"], USUAL_FEE)
        days = {
            name: Day.of(moment.date() - dt.timedelta(days=order[name]))
            for name in DAYS
            if name in order
        }
        return {
            "order": f"QM-{order['number']}",
            "status": _status(order),
            "sku": sku,
            "item": order["item"],
            "quantity": quantity,
            "price": euros(price),
            "fee": euros(fee),
            "total": euros(goods + fee),
            "all": euros(goods + fee),
            "less_label": euros(goods - LABEL_FEE),
            "fifth": euros(goods // 5),
            "carrier": order["carrier"],
            **{name: order[name] for name in ("place", "address") if name in order},
            **({} if _status(order) == "paid" else {"tracking": _tracking(order)}),
            **days,
        }


def euros(cents: int) -> str:
    """An amount as the shop's systems write it: ``88.90``."""
    return f"{cents // 100}.{cents % 100:02d}"


def filled(template: Json, facts: Mapping[str, Any]) -> Json:
    """A value with facts in place of the braces; fields whose fact is not known are left out."""
    if isinstance(template, str):
        return template.format_map(facts)
    if isinstance(template, list):
        return [filled(each, facts) for each in template]
    return dict(_known(template, facts)) if isinstance(template, dict) else template


def _known(template: Mapping[str, Json], facts: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for name, value in template.items():
        try:
            yield name, filled(value, facts)
        except KeyError:
            continue


def _policies() -> Iterator[tuple[str, Json]]:
    """The sections of the skill's policies."""
    for path, text in authored_files().items():
        if "/policies/" not in path:
            continue
        name = path.rpartition("/")[2]
        for section, title, body in SECTION.findall(text):
            yield (
                section,
                {
                    "id": f"{name}#{section}",
                    "page_content": f"{section} {title}\n{body.strip()}",
                    "metadata": {"doc_uri": f"policies/{name}", "section": section},
                },
            )


def _status(order: Mapping[str, Any]) -> str:
    if "delivered" in order:
        return "delivered"
    if "scanned" in order or "promised" in order:
        return "shipped"
    return "packed" if order["placed"] > 1 else "paid"


def _tracking(order: Mapping[str, Any]) -> str:
    return f"{order['carrier'][:2].upper()}{_serial('parcel', str(order['number']), length=9)}"


def _papers(number: int) -> dict[str, str]:
    """The numbers that the shop's systems would give to papers about an order."""
    text = str(number)
    return {
        "label": f"return-QM-{number}.pdf",
        "repair": f"WS-{_serial('repair', text)}",
        "invoice": f"INV-{number}-2",
        "old_invoice": f"INV-{number}-1",
        "authorisation": f"AUTH-{_serial('authorisation', text, length=6)}",
        "deletion": f"DEL-{_serial('deletion', text)}",
        "ticket": f"T-{_serial('ticket', text, length=5)}",
        "refund": f"RF-{_serial('refund', text)}",
    }


def _serial(*parts: str, length: int = 4) -> str:
    """Digits that stand for a number some system counted up; the first is not 0."""
    return str(10 ** (length - 1) + int(derive_id(*parts), 16) % (9 * 10 ** (length - 1)))
