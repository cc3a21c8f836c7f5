"""The roles that only look: does every hop work, is the configuration right."""

from __future__ import annotations

import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from snowflake.connector.errors import Error as SnowflakeError

from report_service import aws
from report_service.catalogue import CatalogueError, load_catalogue
from report_service.errors import presentable
from report_service.login import LoginError, LoginSecret
from report_service.settings import Settings
from report_service.worker_role import open_warehouse


def test_connections(settings: Settings) -> bool:
    """Try each hop, print one line for each, and tell whether all of them work."""

    secret = LoginSecret(settings.snowflake_secret_arn, aws.client("secretsmanager"))

    def login_secret() -> str:
        login = secret.login()
        return f"login of {login.user} at {login.account}"

    def snowflake() -> str:
        with open_warehouse(settings, secret, "test-connections") as warehouse:
            ((user, role),) = warehouse.rows("SELECT CURRENT_USER(), CURRENT_ROLE()")
            ((pending,),) = warehouse.rows("SELECT PENDING FROM V_QUEUE_DEMAND")
            return f"user {user}, role {role}, {pending} reports pending"

    def bucket() -> str:
        # What a worker may do is write, so that is what is tried.
        aws.client("s3").put_object(Bucket=settings.report_bucket, Key="reports/.connection-test", Body=b"")
        return f"bucket {settings.report_bucket} takes files"

    hops = {"Secrets Manager": login_secret, "Snowflake": snowflake, "S3": bucket}
    worked = [_works(name, hop) for name, hop in hops.items()]
    return all(worked)


def validate_config(settings: Settings) -> bool:
    """Load the catalogue, print what there is or what is wrong, and tell whether it is right."""
    print(f"settings: right, environment {settings.environment}", flush=True)
    try:
        catalogue = load_catalogue(settings.reports_directory)
    except CatalogueError as error:
        print(f"catalogue: WRONG\n{error}", flush=True)
        return False
    print(f"catalogue: right, reports {', '.join(catalogue)}", flush=True)
    return True


def _works(name: str, hop: Callable[[], str]) -> bool:
    started = time.monotonic()
    try:
        found = hop()
    except (BotoCoreError, ClientError, SnowflakeError, LoginError, OSError) as error:
        print(f"{name}: DOES NOT WORK, {type(error).__name__}: {presentable(error)}", flush=True)
        return False
    print(f"{name}: works, {found}, {time.monotonic() - started:.2f} s", flush=True)
    return True
