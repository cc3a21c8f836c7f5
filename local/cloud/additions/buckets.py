"""Tags of S3 buckets."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces_entry, require


def apply() -> None:
    """ministack drops a bucket's Tags, AWS keeps them: without its tag the CDK's auto-delete leaves a bucket full."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    require(s3, "_bucket_tags")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]

    def keep(bucket: str, props: dict[str, Any]) -> None:
        s3._bucket_tags[bucket] = {tag["Key"]: tag["Value"] for tag in props.get("Tags", [])}

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
