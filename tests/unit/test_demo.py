"""Dagster's instance in the demo, compared with the one in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.test_utils import instance_for_test

from floe.demo.services import _instance_settings

ROOT = Path(__file__).parents[2]


def test_the_demo_retries_no_run_of_which_a_step_failed_and_a_cluster_neither() -> None:
    """Steps have retries of their own. A run whose tests fail would fail again, and one that was refused too."""
    values = yaml.safe_load((ROOT / "base/charts/dagster.yaml").read_text())["valuesInline"]
    settings: dict[str, Any] = _instance_settings()
    in_a_cluster = values["dagsterDaemon"]["runRetries"]["retryOnAssetOrOpFailure"]
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is in_a_cluster is False
    assert settings["nux"] == values["additionalInstanceConfig"]["nux"] == {"enabled": False}


def test_the_daemon_evaluates_freshness() -> None:
    """Without a setting, as in a cluster."""
    with instance_for_test(overrides=_instance_settings()) as instance:
        assert isinstance(instance, DagsterInstance)
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
        assert not instance.nux_enabled
