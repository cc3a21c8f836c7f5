"""CDK constructs that connect Snowflake to containers on AWS Fargate."""

from snowgate.architecture import Architecture
from snowgate.batch_job import BatchJob
from snowgate.download_links import DownloadLinks
from snowgate.fargate_size import FargateSize
from snowgate.network import Network
from snowgate.report_bucket import ReportBucket
from snowgate.scale_to_zero_worker import ScaleToZeroWorker
from snowgate.scheduled_function import ScheduledFunction
from snowgate.service_image import ServiceImage
from snowgate.service_token import ServiceToken
from snowgate.snowflake_api_integration import SnowflakeApiIntegration
from snowgate.snowflake_deployer import SnowflakeDeployer, WorkloadIdentity
from snowgate.snowflake_login import SnowflakeLogin
from snowgate.snowflake_scripts import SnowflakeScripts
from snowgate.wake_api import WakeApi
from snowgate.web_api import WebApi
from snowgate.web_service import WebService

__all__ = [
    "Architecture",
    "BatchJob",
    "DownloadLinks",
    "FargateSize",
    "Network",
    "ReportBucket",
    "ScaleToZeroWorker",
    "ScheduledFunction",
    "ServiceImage",
    "ServiceToken",
    "SnowflakeApiIntegration",
    "SnowflakeDeployer",
    "SnowflakeLogin",
    "SnowflakeScripts",
    "WakeApi",
    "WebApi",
    "WebService",
    "WorkloadIdentity",
]
