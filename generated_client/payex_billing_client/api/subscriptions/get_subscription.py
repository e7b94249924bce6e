from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx2 as httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.subscription import Subscription
from ...types import Response


def _get_kwargs(
    owner_no: str,
    customer_no: str,
    subscription_no: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/{owner_no}/customers/{customer_no}/subscriptions/{subscription_no}".format(
            owner_no=quote(str(owner_no), safe=""),
            customer_no=quote(str(customer_no), safe=""),
            subscription_no=quote(str(subscription_no), safe=""),
        ),
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | Subscription | None:
    if response.status_code == 200:
        response_200 = Subscription.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())

        return response_500

    if response.status_code == 501:
        response_501 = Problem.from_dict(response.json())

        return response_501

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Problem | Subscription]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    owner_no: str,
    customer_no: str,
    subscription_no: str,
    *,
    client: AuthenticatedClient,
) -> Response[Problem | Subscription]:
    """Read a subscription

     A subscription is read by the numbers of its customer and its own.

    Args:
        owner_no (str): A ledger number.
        customer_no (str): A customer's number as it may be read, by the published pattern taken
            literally (anchored).
        subscription_no (str): A subscription's number, such as a telephone number.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | Subscription]
    """

    kwargs = _get_kwargs(
        owner_no=owner_no,
        customer_no=customer_no,
        subscription_no=subscription_no,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    owner_no: str,
    customer_no: str,
    subscription_no: str,
    *,
    client: AuthenticatedClient,
) -> Problem | Subscription | None:
    """Read a subscription

     A subscription is read by the numbers of its customer and its own.

    Args:
        owner_no (str): A ledger number.
        customer_no (str): A customer's number as it may be read, by the published pattern taken
            literally (anchored).
        subscription_no (str): A subscription's number, such as a telephone number.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | Subscription
    """

    return sync_detailed(
        owner_no=owner_no,
        customer_no=customer_no,
        subscription_no=subscription_no,
        client=client,
    ).parsed


async def asyncio_detailed(
    owner_no: str,
    customer_no: str,
    subscription_no: str,
    *,
    client: AuthenticatedClient,
) -> Response[Problem | Subscription]:
    """Read a subscription

     A subscription is read by the numbers of its customer and its own.

    Args:
        owner_no (str): A ledger number.
        customer_no (str): A customer's number as it may be read, by the published pattern taken
            literally (anchored).
        subscription_no (str): A subscription's number, such as a telephone number.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | Subscription]
    """

    kwargs = _get_kwargs(
        owner_no=owner_no,
        customer_no=customer_no,
        subscription_no=subscription_no,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    owner_no: str,
    customer_no: str,
    subscription_no: str,
    *,
    client: AuthenticatedClient,
) -> Problem | Subscription | None:
    """Read a subscription

     A subscription is read by the numbers of its customer and its own.

    Args:
        owner_no (str): A ledger number.
        customer_no (str): A customer's number as it may be read, by the published pattern taken
            literally (anchored).
        subscription_no (str): A subscription's number, such as a telephone number.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | Subscription
    """

    return (
        await asyncio_detailed(
            owner_no=owner_no,
            customer_no=customer_no,
            subscription_no=subscription_no,
            client=client,
        )
    ).parsed
