"""What is left after an environment is deleted; these tests run last because they delete it."""

from __future__ import annotations

from cluster.deployed import Deployed

EVERYWHERE = "namespaces,persistentvolumes,clusterroles,clusterrolebindings,customresourcedefinitions,storageclasses"


def test_only_released_volumes_remain(live: Deployed) -> None:
    claims = {one["spec"]["volumeName"] for one in live.kubectl.get("persistentvolumeclaims")}
    assert claims
    before = _names(live)
    live.delete()
    left = _names(live)
    assert before - left == {f"namespace/{live.namespace}"}
    assert not live.kubectl("get", "all,configmaps,secrets,persistentvolumeclaims", "--output=name")
    released = [
        one["metadata"]["name"] for one in live.kubectl.get("persistentvolumes") if one["status"]["phase"] == "Released"
    ]
    assert claims <= set(released)  # the data are kept until a person deletes them


def _names(live: Deployed) -> set[str]:
    return set(live.kubectl("get", EVERYWHERE, "--output=name").split())
