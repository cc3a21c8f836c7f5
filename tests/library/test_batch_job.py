import json

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler

from snowgate import BatchJob


def test_x(stack, vpc, image, template):
    job = BatchJob(
        stack,
        "Job",
        vpc=vpc,
        image=image,
        schedule=scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=cdk.TimeZone.EUROPE_ZURICH),
    )
    made = template()
    print(json.dumps(made.to_json(), indent=1))
