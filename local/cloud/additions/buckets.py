"""Tags of S3 buckets, and their replication."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from local.cloud.additions.patching import replaces_entry, require


def apply() -> None:
    """ministack drops a bucket's Tags and ReplicationConfiguration, AWS keeps them.

    Without its tag the CDK's auto-delete leaves a bucket full. Replication itself ministack has, and checks its rules.
    """
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    require(s3, "_bucket_tags", "_put_bucket_replication", "_delete_bucket_replication")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]

    def keep(bucket: str, props: dict[str, Any]) -> None:
        s3._bucket_tags[bucket] = {tag["Key"]: tag["Value"] for tag in props.get("Tags", [])}
        if wanted := props.get("ReplicationConfiguration"):
            status, _headers, body = s3._put_bucket_replication(bucket, _replication(wanted))
            if status >= 400:
                raise ValueError(f"AWS::S3::Bucket ReplicationConfiguration failed: {body.decode()}")
        else:
            s3._delete_bucket_replication(bucket)

    @replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::S3::Bucket")
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        name, attributes = original(logical_id, props, stack_name)
        keep(name, props)
        return name, attributes

    @replaces_entry(handlers, "update", "physical_id old_props new_props stack_name", "AWS::S3::Bucket")
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        name, attributes = original(physical_id, old, new, stack_name)
        keep(name, new)
        return name, attributes


def _replication(wanted: dict[str, Any]) -> bytes:
    """The configuration as PutBucketReplication takes it. Raises ValueError for a filter by tags."""
    root = ElementTree.Element("ReplicationConfiguration")
    ElementTree.SubElement(root, "Role").text = wanted["Role"]
    for rule in wanted["Rules"]:
        if set(rule.get("Filter", {})) - {"Prefix"}:
            raise ValueError("AWS::S3::Bucket: the local stand-in has rules of replication by Prefix only")
        root.append(_element("Rule", {("ID" if name == "Id" else name): value for name, value in rule.items()}))
    return bytes(ElementTree.tostring(root))


def _element(name: str, value: Any) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, dict):
        element.extend(_element(inner, found) for inner, found in value.items())
    else:
        element.text = str(value)
    return element
