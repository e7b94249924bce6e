from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.navigation import Navigation
from ..models.recurring_product import RecurringProduct

T = TypeVar("T", bound="RecurringProductList")


@_attrs_define
class RecurringProductList:
    """Charges of a customer or of a subscription.

    Attributes:
        items (list[RecurringProduct]):
        navigation (Navigation): Where the list is. Unknown properties are tolerated; a `next` link, should one appear,
            is followed.
    """

    items: list[RecurringProduct]
    navigation: Navigation
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        items = []
        for items_item_data in self.items:
            items_item = items_item_data.to_dict()
            items.append(items_item)

        navigation = self.navigation.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "items": items,
                "navigation": navigation,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        items = []
        _items = d.pop("items")
        for items_item_data in _items:
            items_item = RecurringProduct.from_dict(items_item_data)

            items.append(items_item)

        navigation = Navigation.from_dict(d.pop("navigation"))

        recurring_product_list = cls(
            items=items,
            navigation=navigation,
        )

        recurring_product_list.additional_properties = d
        return recurring_product_list

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
