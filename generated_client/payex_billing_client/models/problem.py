from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.parameter_problem import ParameterProblem
from ..types import UNSET, Unset

T = TypeVar("T", bound="Problem")


@_attrs_define
class Problem:
    """What went wrong. Published samples spell the keys in PascalCase: read them without regard to case. `type` is a
    relative code, in an older sample an absolute URL: match on its last segment.

        Attributes:
            type_ (str): The problem type; its last segment is one of `x-problem-types`.
            title (str): The problem type in words.
            status (int): The HTTP status again.
            instance (str): The id of this occurrence; quote it to support.
            detail (str | Unset): This occurrence in words.
            problems (list[ParameterProblem] | Unset): The parameters that failed.
    """

    type_: str
    title: str
    status: int
    instance: str
    detail: str | Unset = UNSET
    problems: list[ParameterProblem] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        title = self.title

        status = self.status

        instance = self.instance

        detail = self.detail

        problems: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.problems, Unset):
            problems = []
            for problems_item_data in self.problems:
                problems_item = problems_item_data.to_dict()
                problems.append(problems_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "title": title,
                "status": status,
                "instance": instance,
            }
        )
        if detail is not UNSET:
            field_dict["detail"] = detail
        if problems is not UNSET:
            field_dict["problems"] = problems

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        type_ = d.pop("type")

        title = d.pop("title")

        status = d.pop("status")

        instance = d.pop("instance")

        detail = d.pop("detail", UNSET)

        _problems = d.pop("problems", UNSET)
        problems: list[ParameterProblem] | Unset = UNSET
        if _problems is not UNSET:
            problems = []
            for problems_item_data in _problems:
                problems_item = ParameterProblem.from_dict(problems_item_data)

                problems.append(problems_item)

        problem = cls(
            type_=type_,
            title=title,
            status=status,
            instance=instance,
            detail=detail,
            problems=problems,
        )

        problem.additional_properties = d
        return problem

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
