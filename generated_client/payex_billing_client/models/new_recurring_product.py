from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewRecurringProduct")


@_attrs_define
class NewRecurringProduct:
    """A charge to add. Price, VAT and text come from the master product named by the code; values given here override
    them.

        Attributes:
            product_code (str): The code of a master product, from which price, VAT and text are taken unless given here.
            quantity (int | Unset): How many.
            unit_price (float | Unset): Price of one in major currency units, up to 7 integer digits and 6 decimals;
                negative for a credit.
            vat_rate (float | Unset): VAT in percent, 2 decimals.
            text (str | Unset): The text on the invoice.
            start_date (datetime.date | Unset): A date, yyyy-MM-dd.
            end_date (datetime.date | None | Unset): Absent or null is open-ended.
    """

    product_code: str
    quantity: int | Unset = UNSET
    unit_price: float | Unset = UNSET
    vat_rate: float | Unset = UNSET
    text: str | Unset = UNSET
    start_date: datetime.date | Unset = UNSET
    end_date: datetime.date | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        product_code = self.product_code

        quantity = self.quantity

        unit_price = self.unit_price

        vat_rate = self.vat_rate

        text = self.text

        start_date: str | Unset = UNSET
        if not isinstance(self.start_date, Unset):
            start_date = self.start_date.isoformat()

        end_date: None | str | Unset
        if isinstance(self.end_date, Unset):
            end_date = UNSET
        elif isinstance(self.end_date, datetime.date):
            end_date = self.end_date.isoformat()
        else:
            end_date = self.end_date

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "productCode": product_code,
            }
        )
        if quantity is not UNSET:
            field_dict["quantity"] = quantity
        if unit_price is not UNSET:
            field_dict["unitPrice"] = unit_price
        if vat_rate is not UNSET:
            field_dict["vatRate"] = vat_rate
        if text is not UNSET:
            field_dict["text"] = text
        if start_date is not UNSET:
            field_dict["startDate"] = start_date
        if end_date is not UNSET:
            field_dict["endDate"] = end_date

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        product_code = d.pop("productCode")

        quantity = d.pop("quantity", UNSET)

        unit_price = d.pop("unitPrice", UNSET)

        vat_rate = d.pop("vatRate", UNSET)

        text = d.pop("text", UNSET)

        _start_date = d.pop("startDate", UNSET)
        start_date: datetime.date | Unset
        if isinstance(_start_date, Unset):
            start_date = UNSET
        else:
            start_date = datetime.date.fromisoformat(_start_date)

        def _parse_end_date(data: object) -> datetime.date | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                end_date_type_0 = datetime.date.fromisoformat(data)

                return end_date_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast("datetime.date | None | Unset", data)

        end_date = _parse_end_date(d.pop("endDate", UNSET))

        new_recurring_product = cls(
            product_code=product_code,
            quantity=quantity,
            unit_price=unit_price,
            vat_rate=vat_rate,
            text=text,
            start_date=start_date,
            end_date=end_date,
        )

        new_recurring_product.additional_properties = d
        return new_recurring_product

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
