"""Contains all the data models used in inputs/outputs"""

from .customer import Customer
from .navigation import Navigation
from .new_customer import NewCustomer
from .new_recurring_product import NewRecurringProduct
from .new_subscription import NewSubscription
from .operation import Operation
from .parameter_problem import ParameterProblem
from .problem import Problem
from .recurring_product import RecurringProduct
from .recurring_product_change import RecurringProductChange
from .recurring_product_list import RecurringProductList
from .subscription import Subscription
from .subscription_list import SubscriptionList

__all__ = (
    "Customer",
    "Navigation",
    "NewCustomer",
    "NewRecurringProduct",
    "NewSubscription",
    "Operation",
    "ParameterProblem",
    "Problem",
    "RecurringProduct",
    "RecurringProductChange",
    "RecurringProductList",
    "Subscription",
    "SubscriptionList",
)
