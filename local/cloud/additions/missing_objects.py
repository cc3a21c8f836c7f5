"""What S3 says of objects that are not there."""

from __future__ import annotations

from typing import Any

from local.cloud.additions.patching import replaces, require


def apply() -> None:
    """ministack says NoSuchKey of what is not there, AWS says less to some and more of a delete marker.

    Who may not list the bucket does not learn whether an object is there: 403 AccessDenied ("GetObject" and
    "HeadObject" in the S3 API Reference, Permissions). A delete marker, asked for its tags, gives 405 MethodNotAllowed.
    """
    from ministack import app
    from ministack.services import s3

    require(s3, "_parse_bucket_key", "_delete_marker_404_headers", "_object_versions", "_delete_marker_read_refused")
    require(app, "AUTH", "extract_access_key_id", "_enforce_data_plane")
    _hide_from_who_may_not_list(app, s3)
    _refuse_tags_of_delete_markers(s3)


def _hide_from_who_may_not_list(app: Any, s3: Any) -> None:
    parameters = (
        "method path headers body query_params signed_path enforce_bucket_region internal access_point_region "
        "access_point"
    )

    @replaces(s3, "handle_request", parameters)
    async def handle_request(
        original: Any,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        *rest: Any,
        **options: Any,
    ) -> Any:
        answer = await original(method, path, headers, body, query_params, *rest, **options)
        bucket, key = s3._parse_bucket_key(path, headers)
        if answer[0] != 404 or not key or method not in ("GET", "HEAD") or not app.AUTH:
            return answer
        if b"<Code>NoSuchKey<" not in answer[2] and method == "GET":
            return answer
        if not app.extract_access_key_id(headers, query_params):  # of ministack itself
            return answer
        denied = app._enforce_data_plane("s3", "s3:ListBucket", headers, query_params, "", f"arn:aws:s3:::{bucket}")
        return denied or answer


def _refuse_tags_of_delete_markers(s3: Any) -> None:
    @replaces(s3, "_get_object_tagging", "bucket_name key query_params")
    def get_object_tagging(original: Any, bucket: str, key: str, query_params: dict[str, Any] | None = None) -> Any:
        if not (query_params or {}).get("versionId") and s3._delete_marker_404_headers(bucket, key):
            return s3._delete_marker_read_refused(s3._object_versions[bucket, key][-1])
        return original(bucket, key, query_params)
