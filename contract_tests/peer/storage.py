"""The tables of the peer, on SQLite."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ForeignKey, StaticPool, UniqueConstraint, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    key: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]  # the client's values as JSON text, so that a price keeps its digits


class Customer(Base):
    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("ledger", "number"),)
    ledger: Mapped[str]
    number: Mapped[str]


class Subscription(Base):
    __tablename__ = "subscription"
    __table_args__ = (UniqueConstraint("customer_key", "number"),)
    customer_key: Mapped[int] = mapped_column(ForeignKey("customer.key"))
    number: Mapped[str]


class Charge(Base):
    __tablename__ = "charge"
    id: Mapped[str] = mapped_column(unique=True)
    customer_key: Mapped[int] = mapped_column(ForeignKey("customer.key"), index=True)
    subscription_key: Mapped[int | None] = mapped_column(ForeignKey("subscription.key"), index=True)


class Storage:
    """One database. Its transactions run one after the other, also between processes that share a file."""

    def __init__(self, path: str | None) -> None:
        self._lock = threading.Lock()
        self._engine = create_engine(
            f"sqlite:///{path or ':memory:'}",
            connect_args={"check_same_thread": False, "timeout": 30, "isolation_level": None},
            poolclass=StaticPool,
        )
        # SQLAlchemy's guide for SQLite: without this, a transaction that reads first can fail when it writes later.
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        Base.metadata.create_all(self._engine)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._lock, Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session
