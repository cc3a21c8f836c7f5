"""CDK constructs that connect Snowflake to containers on AWS Fargate."""

from snowgate.agent_service import AgentService
from snowgate.alarm_topic import AlarmTopic
from snowgate.architecture import Architecture
from snowgate.batch_job import BatchJob
from snowgate.cache import Cache
from snowgate.deployment import Deployment
from snowgate.download_links import DownloadLinks
from snowgate.edge import Edge
from snowgate.fargate_size import FargateSize
from snowgate.github_deploy_role import GithubDeployRole
from snowgate.github_diff_role import GithubDiffRole
from snowgate.image_repository import ImageRepository
from snowgate.manual_secret import ManualSecret
from snowgate.monthly_budget import MonthlyBudget
from snowgate.network import Network
from snowgate.network_mode import NetworkMode
from snowgate.postgres_database import PostgresDatabase
from snowgate.quiet_hours import QuietHours
from snowgate.report_bucket import ReportBucket
from snowgate.scale_to_zero_worker import ScaleToZeroWorker
from snowgate.scheduled_function import ScheduledFunction
from snowgate.service_image import ServiceImage
from snowgate.service_monitoring import ServiceMonitoring
from snowgate.service_scaling import ScheduledTasks, ServiceScaling
from snowgate.service_token import ServiceToken
from snowgate.sidecar import Sidecar
from snowgate.snowflake_api_integration import SnowflakeApiIntegration
from snowgate.snowflake_deployer import SnowflakeDeployer, WorkloadIdentity
from snowgate.snowflake_login import SnowflakeLogin
from snowgate.snowflake_scripts import SnowflakeScripts
from snowgate.wake_api import WakeApi
from snowgate.web_acl import WebAcl
from snowgate.web_api import WebApi
from snowgate.web_service import WebService

__all__ = [
    "AgentService",
    "AlarmTopic",
    "Architecture",
    "BatchJob",
    "Cache",
    "Deployment",
    "DownloadLinks",
    "Edge",
    "FargateSize",
    "GithubDeployRole",
    "GithubDiffRole",
    "ImageRepository",
    "ManualSecret",
    "MonthlyBudget",
    "Network",
    "NetworkMode",
    "PostgresDatabase",
    "QuietHours",
    "ReportBucket",
    "ScaleToZeroWorker",
    "ScheduledFunction",
    "ScheduledTasks",
    "ServiceImage",
    "ServiceMonitoring",
    "ServiceScaling",
    "ServiceToken",
    "Sidecar",
    "SnowflakeApiIntegration",
    "SnowflakeDeployer",
    "SnowflakeLogin",
    "SnowflakeScripts",
    "WakeApi",
    "WebAcl",
    "WebApi",
    "WebService",
    "WorkloadIdentity",
]
