"""Dagster loads the definitions and makes the asset with a mock of PayEx Billing."""

from pathlib import Path

import dagster as dg
import payex_billing_assets
import pytest
from payex_billing.testing import PayexServer


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    table = tmp_path / "charges.csv"
    monkeypatch.setenv("CRM_EXPORT", str(table))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return table


def made() -> dg.ExecuteInProcessResult:
    return dg.materialize([payex_billing_assets.billed_charges], raise_on_error=False)


def test_the_asset_is_the_charges_of_the_table(payex_server: PayexServer, table: Path) -> None:
    table.write_text("customer_no,product_code,unit_price\n1,P01,10.50\n2,P02,\n")
    result = made()
    assert result.success
    assert payex_server.customers() == ["1", "2"]
    (made_asset,) = result.get_asset_materialization_events()
    metadata = made_asset.materialization.metadata
    assert (metadata["applied"].value, metadata["money a month after"].value) == (2, "10.5")


def test_a_rejected_row_fails_the_asset_and_is_not_tried_again(payex_server: PayexServer, table: Path) -> None:
    table.write_text("customer_no,product_code,quantity\n1,P01,1\n2,P02,0\n")
    result = made()
    assert not result.success
    assert "1 rows rejected" in str(result.failure_data_for_node("billed_charges"))
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert payex_server.customers() == ["1"]


def test_the_schedule_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(payex_billing_assets.defs)
    assert payex_billing_assets.nightly.cron_schedule == "0 3 * * *"
