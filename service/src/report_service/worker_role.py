"""Puts the worker together from the environment and runs it."""

from __future__ import annotations

import datetime
import math
import os
import signal
import socket
import threading
import uuid
from dataclasses import replace
from typing import Any

from report_service import log
from report_service.alarm_clock import AlarmClock, NoAlarmClock, SchedulerAlarmClock
from report_service.aws import LateClient
from report_service.catalogue import load_catalogue
from report_service.channels import AppriseChannel, Channel, EmailChannel, SnsChannel
from report_service.delivery import Delivery
from report_service.ecs import DesiredCount, EcsTask, TaskProtection, read_task
from report_service.heartbeat import Heartbeat
from report_service.links import Links
from report_service.login import LoginSource, login_source
from report_service.metrics import Metrics
from report_service.queue.delivery_ledger import DeliveryLedger
from report_service.queue.report_queue import ReportQueue
from report_service.settings import Settings, WorkerSettings
from report_service.sleep import Sleep
from report_service.storage import Storage
from report_service.warehouse import Warehouse, Warehouses
from report_service.worker import Worker
from report_service.workshop import Workshop

_LANES_PER_CPU = 4  # a report mostly waits for its query
_OWN_MIB = 160  # measured: 95 MiB with all imports; the rest is for its three sessions
# Measured (bench/report_way.py): 5,000,000 rows of ten columns as CSV, with what is fetched ahead and what is uploaded.
_MIB_PER_LANE = 200


def run_worker(settings: WorkerSettings) -> None:
    """Run until SIGTERM; raises if the catalogue, the login or Snowflake itself is not usable at the start."""
    catalogue = load_catalogue(settings.reports_directory)
    task = read_task(settings.ecs_container_metadata_uri_v4) if settings.ecs_container_metadata_uri_v4 else None
    secret = login_source(settings)
    name = task.name if task else f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"

    def queue(warehouse: Warehouse) -> ReportQueue:
        return ReportQueue(warehouse, actor=name, lease_seconds=settings.lease_seconds)

    def ledger(warehouse: Warehouse) -> DeliveryLedger:
        return DeliveryLedger(
            warehouse,
            actor=name,
            lease_seconds=settings.delivery_lease_seconds,
            abandoned_seconds=settings.lease_seconds / 2,
        )

    def session(purpose: str, *, autocommit: bool = False) -> Warehouse:
        # Of a lease's half, after which others take a transaction for a dead worker's, ours leave the larger part.
        lock, longest = max(settings.lease_seconds // 12, 2), settings.lease_seconds / 6
        return open_warehouse(
            settings, secret, purpose, lock_seconds=lock, transaction_seconds=longest, autocommit=autocommit
        )

    storage = Storage(LateClient("s3"), settings.report_bucket)
    rules = replace(settings.recipient_rules, requesters=settings.mail_sender is not None)
    channels: dict[str, Channel] = {
        "email": EmailChannel(LateClient("sesv2", once=True), sender=settings.mail_sender),
        "sns": SnsChannel(LateClient("sns", once=True)),
        "apprise": AppriseChannel(LateClient("secretsmanager"), settings.destinations_secret_arn),
    }
    with (
        session("worker") as main,
        session("settling") as settling,
        session("heartbeat", autocommit=True) as beating,
    ):
        main.open()
        worker = Worker(
            queue=queue(main),
            settling_queue=queue(settling),
            ledger=ledger(main),
            open_ledger=ledger,
            warehouses=Warehouses(lambda: session("report", autocommit=True)),
            workshop=Workshop(catalogue, storage, rules=rules, retry_seconds=settings.retry_seconds),
            delivery=Delivery(
                catalogue,
                storage,
                channels,
                rules=rules,
                attachment_bytes=settings.mail_attachment_bytes,
                links=_links(settings),
            ),
            heartbeat=Heartbeat(queue(beating), lease_seconds=settings.lease_seconds),
            metrics=Metrics(settings.environment),
            protection=TaskProtection(settings.ecs_agent_uri),
            lanes=lanes(settings.reports_per_task, task),
            poll_seconds=settings.poll_seconds,
            idle_seconds=settings.idle_seconds,
            stop_seconds=settings.stop_seconds,
            health_file=settings.health_file,
        )
        if task:
            worker.sleep = _sleep(settings, task, worker)
        else:
            log.warning("worker.no_scaling", reason="ECS_CONTAINER_METADATA_URI_V4 is not set")

        def stop(*_: object) -> None:
            # In a thread: the handler may interrupt the main thread while it holds the lock that `stop` needs.
            threading.Thread(target=worker.stop).start()
            end = threading.Timer(settings.stop_seconds, _leave)
            end.daemon = True
            end.start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        log.info(
            "worker.started", name=name, lanes=worker.lanes.count, reports=list(catalogue), user=secret.login().user
        )
        worker.run()


def _leave() -> None:
    """End the process, whatever still hangs; by now what was at work is handed back as far as that was possible."""
    log.warning("worker.stopped_late", reason="Snowflake or ECS did not answer in time.")
    os._exit(1)


def open_warehouse(settings: Settings, secret: LoginSource, purpose: str, **limits: Any) -> Warehouse:
    """Return a session for `purpose`, which Snowflake shows as its query tag; `limits` are those of Warehouse."""
    return Warehouse(
        secret,
        database=settings.snowflake_database,
        schema=settings.snowflake_schema,
        query_tag=f"snowgate:{settings.environment}:{purpose}",
        login_seconds=settings.snowflake_login_seconds,
        **limits,
    )


def _links(settings: WorkerSettings) -> Links | None:
    if not settings.link_url or not settings.link_key_secret_arn:
        return None
    return Links(
        LateClient("secretsmanager"),
        url=settings.link_url,
        secret_arn=settings.link_key_secret_arn,
        bucket=settings.report_bucket,
        valid_for=datetime.timedelta(days=settings.link_days),
    )


def _sleep(settings: WorkerSettings, task: EcsTask, worker: Worker) -> Sleep:
    return Sleep(
        demand=worker.demand,
        count=DesiredCount(task, LateClient("ecs")),
        alarm_clock=_alarm_clock(settings),
        reports_per_task=settings.reports_per_task,
        max_tasks=settings.max_tasks,
        stay_awake_seconds=settings.idle_seconds,
    )


def _alarm_clock(settings: WorkerSettings) -> AlarmClock:
    name, target, role = settings.alarm_clock_name, settings.alarm_clock_target_arn, settings.alarm_clock_role_arn
    if name and target and role:
        return SchedulerAlarmClock(LateClient("scheduler"), name=name, target_arn=target, role_arn=role)
    log.warning("worker.no_alarm_clock", reason="ALARM_CLOCK_NAME, _TARGET_ARN and _ROLE_ARN are not all set")
    return NoAlarmClock()


def lanes(reports_per_task: int, task: EcsTask | None) -> int:
    """How many reports a task makes at once: what its CPU and memory bear, at least one, at most what it is for."""
    cpu = (task.cpu if task else None) or os.cpu_count() or 1
    bearable = [reports_per_task, math.ceil(cpu * _LANES_PER_CPU)]
    if task and task.memory_mib:
        bearable.append((task.memory_mib - _OWN_MIB) // _MIB_PER_LANE)
    return max(1, min(bearable))
