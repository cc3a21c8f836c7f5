"""One dashboard and one topic for all that belongs to a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import aws_cdk as cdk
import cdk_monitoring_constructs as monitoring
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.agent_service import AgentService
from snowgate.alarm_actions import send_alarms
from snowgate.alarm_topic import AlarmTopic
from snowgate.asked_once import hours, minutes
from snowgate.batch_job import BatchJob
from snowgate.monthly_budget import MonthlyBudget
from snowgate.postgres_database import PostgresDatabase
from snowgate.scale_to_zero_worker import ScaleToZeroWorker
from snowgate.web_service import WebService

_QUIET = cloudwatch.TreatMissingData.NOT_BREACHING
_Metric = cloudwatch.Metric | cloudwatch.MathExpression


class ServiceMonitoring(Construct):
    """A dashboard of what is watched, and alarms that go to ``topic``, which is made if it is not given.

    Each ``watch_…`` adds a section of widgets. The alarms that this library's constructs bring themselves go to the
    topic, so give such a construct no topic of its own; a function has none, and gets them here. ``emails`` get
    what the topic gets. ``monthly_budget_usd`` is for the whole account (None: no budget). A topic that is given has to
    let CloudWatch, and AWS Budgets, publish. ``with_dashboard`` says whether there is one beside the alarms: beyond the
    first three of an account it costs 3 US dollars a month ("Amazon CloudWatch Pricing"). ``runbook`` ends the
    description of every alarm, so that whoever gets it knows where to read what to do: an address, or a page of the
    repository (None: nothing).

    The widgets and most alarms are those of cdk-monitoring-constructs.

    Raises:
        ValueError: ``emails`` for a topic that is given, or a budget that is not above 0.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.ITopic | None = None,
        emails: Sequence[str] = (),
        monthly_budget_usd: int | None = None,
        with_dashboard: bool = True,
        runbook: str | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        if topic is not None and emails:
            raise ValueError(
                f"{self.node.path}: a topic was given, and emails {', '.join(emails)}. Subscribe them to that topic, "
                "or leave it out: then one is made for them."
            )

        self.topic: sns.ITopic = (
            topic or AlarmTopic(self, "AlarmTopic", emails=emails, removal_policy=removal_policy).topic
        )
        self._runbook = runbook
        if monthly_budget_usd is not None:
            MonthlyBudget(self, "Budget", usd=monthly_budget_usd, topic=self.topic)
        name = f"{cdk.Stack.of(self).stack_name}-{construct_id}"
        self.facade = monitoring.MonitoringFacade(
            self,
            "Facade",
            alarm_factory_defaults=monitoring.AlarmFactoryDefaults(
                actions_enabled=True,
                alarm_name_prefix=name,
                action=monitoring.SnsAlarmActionStrategy(on_alarm_topic=self.topic, on_ok_topic=self.topic),
                datapoints_to_alarm=1,
                runbook_link=runbook,
            ),
            dashboard_factory=monitoring.DefaultDashboardFactory(
                self,
                "Dashboards",
                create_dashboard=with_dashboard,
                dashboard_name_prefix=name,
                rendering_preference=monitoring.DashboardRenderingPreference.INTERACTIVE_ONLY,
            ),
        )

    @property
    def dashboard(self) -> cloudwatch.Dashboard | None:
        """The dashboard that all sections are on, if there is to be one."""
        return self.facade.created_dashboard()

    @property
    def alarms(self) -> list[cloudwatch.AlarmBase]:
        """The alarms that the ``watch_…`` methods have made; those of the watched constructs are theirs."""
        return [created.alarm for created in self.facade.created_alarms()]

    def add_alarms(self, alarms: Iterable[cloudwatch.Alarm]) -> None:
        """Let the topic hear of alarms that something else has made; their descriptions get the runbook."""
        added = list(alarms)
        send_alarms(added, self.topic)
        for alarm in added if self._runbook else ():
            resource = alarm.node.default_child
            assert isinstance(resource, cloudwatch.CfnAlarm)
            said = resource.alarm_description
            resource.alarm_description = f"{said}. Runbook: {self._runbook}" if said else f"Runbook: {self._runbook}"

    def watch_worker(self, worker: ScaleToZeroWorker, title: str = "Worker") -> None:
        """Add the tasks, the waiting work and the waker of a worker; its alarms go to the topic."""
        tasks = [worker.metric_desired_tasks(), worker.metric_running_tasks()]
        self._section(title, {"Tasks": tasks, "Waiting": [worker.metric_pending()], "Load": _load(worker.service)})
        self.watch_function(worker.waker, f"{title}: waker")
        self.add_alarms(worker.alarms)

    def watch_agent(self, agent: AgentService, title: str = "Agent") -> None:
        """Add the tasks of an agent and their load; its alarms go to the topic."""
        tasks = [agent.metric_desired_tasks(), agent.metric_running_tasks()]
        self._section(title, {"Tasks": tasks, "Load": _load(agent.service)})
        self.add_alarms(agent.alarms)

    def watch_web(self, web: WebService, title: str = "Web") -> None:
        """Add requests, errors, latency and tasks of a web service; its alarms go to the topic."""
        balancer, target = web.load_balancer.metrics, elbv2.HttpCodeTarget
        self._section(
            title,
            {
                "Requests": [
                    balancer.request_count(),
                    balancer.http_code_target(target.TARGET_2XX_COUNT),
                    balancer.http_code_target(target.TARGET_4XX_COUNT),
                ],
                "Errors": [
                    balancer.http_code_target(target.TARGET_5XX_COUNT),
                    balancer.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT),
                ],
                "Latency": [balancer.target_response_time(statistic=statistic) for statistic in ("p50", "p95")],
                "Tasks": [web.target_group.metrics.healthy_host_count(statistic="Maximum")],
                "Load": _load(web.service),
            },
        )
        self.add_alarms(web.alarms)

    def watch_job(self, job: BatchJob, title: str = "Job") -> None:
        """Add the runs of a job; its alarms go to the topic."""
        self._heading(title)
        self.facade.monitor_step_function(state_machine=job.state_machine, alarm_friendly_name=_plain(title))
        self.add_alarms(job.alarms)

    def watch_function(self, function: lambda_.IFunction, title: str = "Function") -> None:
        """Add calls, errors and duration of a Lambda function; alarms: any error, any throttled call."""
        self._heading(title)
        none = monitoring.ErrorCountThreshold(max_error_count=0, treat_missing_data_override=_QUIET)
        self.facade.monitor_lambda_function(
            lambda_function=function,
            alarm_friendly_name=_plain(title),
            add_fault_count_alarm={"Warning": none},
            add_throttles_count_alarm={"Warning": none},
        )

    def watch_database(self, database: PostgresDatabase, title: str = "Database") -> None:
        """Add connections, CPU and storage of a database; its alarms go to the topic."""
        self._heading(title)
        self.facade.monitor_rds_instance(instance=database.instance, alarm_friendly_name=_plain(title))
        self.add_alarms(database.alarms)

    def watch_bucket(self, bucket: s3.IBucket, title: str = "Bucket") -> None:
        """Add size and number of objects, which S3 counts once a day."""
        self._heading(title)
        self.facade.monitor_s3_bucket(bucket=bucket, alarm_friendly_name=_plain(title))

    def watch_reports(self, environment: str, title: str = "Reports") -> None:
        """Add what the report service enters under the dimension Environment: reports an hour, seconds, error codes."""
        hour, minute = hours(1), minutes(1)

        def metric(name: str, statistic: str, period: cdk.Duration) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="Snowgate",
                metric_name=name,
                dimensions_map={"Environment": environment},
                statistic=statistic,
                period=period,
                label=f"{name} ({statistic})",
            )

        codes = cloudwatch.MathExpression(
            # The codes are known only when they occur.
            expression=(
                f'SEARCH(\'{{Snowgate,Environment,ErrorCode}} MetricName="Failures" Environment="{environment}"\', '
                "'Sum', 3600)"
            ),
            using_metrics={},
            label="",
            period=hour,
        )
        self._section(
            title,
            {
                "Reports an hour": [metric(name, "Sum", hour) for name in ("ReportsCompleted", "ReportsFailed")],
                "Seconds a report": [metric("ProcessingSeconds", name, hour) for name in ("Average", "p50", "p95")],
                "Failures by error code": [codes],
                "Backlog": [metric("Backlog", "Maximum", minute), metric("OldestPendingSeconds", "Maximum", minute)],
            },
        )

    def watch_metrics(self, graphs: Mapping[str, Sequence[_Metric]], title: str) -> None:
        """Add metrics that a program enters by itself, by the title of their graph; no alarms."""
        self._section(title, graphs)

    def _heading(self, title: str) -> None:
        self.facade.add_large_header(title)

    def _section(self, title: str, graphs: Mapping[str, Sequence[_Metric]]) -> None:
        self._heading(title)
        self.facade.monitor_custom(
            alarm_friendly_name=_plain(title),
            human_readable_name=title,
            metric_groups=[
                monitoring.CustomMetricGroup(title=name, metrics=list(metrics)) for name, metrics in graphs.items()
            ],
        )


def _load(service: ecs.FargateService) -> list[cloudwatch.Metric]:
    return [service.metric_cpu_utilization(), service.metric_memory_utilization()]


def _plain(title: str) -> str:
    """A title as the part of an alarm's name that it may be: letters, digits and dashes."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title).split())
