from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="NewCustomer")


@_attrs_define
class NewCustomer:
    """A customer to create.

    Attributes:
        customer_no (str): A number for a new customer: letters, digits, äåöÄÅÖ, `&`, `/`, `_`, space, `.` and `-`. The
            published pattern ends in ` -.`, read literally the range U+0020..U+002E; its likely intent is space, hyphen,
            dot, so only these are sent. `.` and `..` fit the pattern but are dot segments in a URL, so that the customer
            could not be addressed.
    """

    customer_no: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        customer_no = self.customer_no

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "customerNo": customer_no,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        customer_no = d.pop("customerNo")

        new_customer = cls(
            customer_no=customer_no,
        )

        new_customer.additional_properties = d
        return new_customer

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
