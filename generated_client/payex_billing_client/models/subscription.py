from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.operation import Operation
from ..types import UNSET, Unset

T = TypeVar("T", bound="Subscription")


@_attrs_define
class Subscription:
    """A subscription, with a link to its charges.

    Attributes:
        id (str): A path-absolute URI. It begins with one slash.
        subscription_no (str): A subscription's number, such as a telephone number.
        recurring_products (str): A path-absolute URI. It begins with one slash.
        operations (list[Operation] | None | Unset):
    """

    id: str
    subscription_no: str
    recurring_products: str
    operations: list[Operation] | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        subscription_no = self.subscription_no

        recurring_products = self.recurring_products

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
                "subscriptionNo": subscription_no,
                "recurringProducts": recurring_products,
            }
        )
        if operations is not UNSET:
            field_dict["operations"] = operations

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("@id")

        subscription_no = d.pop("subscriptionNo")

        recurring_products = d.pop("recurringProducts")

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

        subscription = cls(
            id=id,
            subscription_no=subscription_no,
            recurring_products=recurring_products,
            operations=operations,
        )

        subscription.additional_properties = d
        return subscription

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
