from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.operation import Operation
from ..types import UNSET, Unset

T = TypeVar("T", bound="RecurringProduct")


@_attrs_define
class RecurringProduct:
    """A charge as Billing holds it. A value that was not given with it may be absent or null: the master product's value
    holds then, or the charge has no such date. See `x-rules`, values-not-given.

        Attributes:
            id (str): A path-absolute URI. It begins with one slash.
            recurring_product_id (str): An opaque id.
            product_code (str): The code of a master product, from which price, VAT and text are taken unless given here.
            quantity (int | None | Unset):
            unit_price (float | None | Unset):
            vat_rate (float | None | Unset):
            text (None | str | Unset):
            start_date (datetime.date | None | Unset):
            end_date (datetime.date | None | Unset): Absent or null is open-ended.
            billed_until (datetime.date | None | Unset): Up to when bill runs have put the charge on an invoice; absent or
                null before the first.
            operations (list[Operation] | None | Unset):
    """

    id: str
    recurring_product_id: str
    product_code: str
    quantity: int | None | Unset = UNSET
    unit_price: float | None | Unset = UNSET
    vat_rate: float | None | Unset = UNSET
    text: None | str | Unset = UNSET
    start_date: datetime.date | None | Unset = UNSET
    end_date: datetime.date | None | Unset = UNSET
    billed_until: datetime.date | None | Unset = UNSET
    operations: list[Operation] | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        recurring_product_id = self.recurring_product_id

        product_code = self.product_code

        quantity: int | None | Unset
        if isinstance(self.quantity, Unset):
            quantity = UNSET
        else:
            quantity = self.quantity

        unit_price: float | None | Unset
        if isinstance(self.unit_price, Unset):
            unit_price = UNSET
        else:
            unit_price = self.unit_price

        vat_rate: float | None | Unset
        if isinstance(self.vat_rate, Unset):
            vat_rate = UNSET
        else:
            vat_rate = self.vat_rate

        text: None | str | Unset
        if isinstance(self.text, Unset):
            text = UNSET
        else:
            text = self.text

        start_date: None | str | Unset
        if isinstance(self.start_date, Unset):
            start_date = UNSET
        elif isinstance(self.start_date, datetime.date):
            start_date = self.start_date.isoformat()
        else:
            start_date = self.start_date

        end_date: None | str | Unset
        if isinstance(self.end_date, Unset):
            end_date = UNSET
        elif isinstance(self.end_date, datetime.date):
            end_date = self.end_date.isoformat()
        else:
            end_date = self.end_date

        billed_until: None | str | Unset
        if isinstance(self.billed_until, Unset):
            billed_until = UNSET
        elif isinstance(self.billed_until, datetime.date):
            billed_until = self.billed_until.isoformat()
        else:
            billed_until = self.billed_until

        operations: list[dict[str, Any]] | None | Unset
        if isinstance(self.operations, Unset):
            operations = UNSET
        elif isinstance(self.operations, list):
            operations = []
            for componentsschemas_operations_item_data in self.operations:
                componentsschemas_operations_item = componentsschemas_operations_item_data.to_dict()
                operations.append(componentsschemas_operations_item)

        else:
            operations = self.operations

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "@id": id,
                "recurringProductId": recurring_product_id,
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
        if billed_until is not UNSET:
            field_dict["billedUntil"] = billed_until
        if operations is not UNSET:
            field_dict["operations"] = operations

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("@id")

        recurring_product_id = d.pop("recurringProductId")

        product_code = d.pop("productCode")

        def _parse_quantity(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast("int | None | Unset", data)

        quantity = _parse_quantity(d.pop("quantity", UNSET))

        def _parse_unit_price(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast("float | None | Unset", data)

        unit_price = _parse_unit_price(d.pop("unitPrice", UNSET))

        def _parse_vat_rate(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast("float | None | Unset", data)

        vat_rate = _parse_vat_rate(d.pop("vatRate", UNSET))

        def _parse_text(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast("None | str | Unset", data)

        text = _parse_text(d.pop("text", UNSET))

        def _parse_start_date(data: object) -> datetime.date | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                start_date_type_0 = datetime.date.fromisoformat(data)

                return start_date_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast("datetime.date | None | Unset", data)

        start_date = _parse_start_date(d.pop("startDate", UNSET))

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

        def _parse_billed_until(data: object) -> datetime.date | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                billed_until_type_0 = datetime.date.fromisoformat(data)

                return billed_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast("datetime.date | None | Unset", data)

        billed_until = _parse_billed_until(d.pop("billedUntil", UNSET))

        def _parse_operations(data: object) -> list[Operation] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                operations_type_0 = []
                _operations_type_0 = data
                for componentsschemas_operations_item_data in _operations_type_0:
                    componentsschemas_operations_item = Operation.from_dict(componentsschemas_operations_item_data)

                    operations_type_0.append(componentsschemas_operations_item)

                return operations_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast("list[Operation] | None | Unset", data)

        operations = _parse_operations(d.pop("operations", UNSET))

        recurring_product = cls(
            id=id,
            recurring_product_id=recurring_product_id,
            product_code=product_code,
            quantity=quantity,
            unit_price=unit_price,
            vat_rate=vat_rate,
            text=text,
            start_date=start_date,
            end_date=end_date,
            billed_until=billed_until,
            operations=operations,
        )

        recurring_product.additional_properties = d
        return recurring_product

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
