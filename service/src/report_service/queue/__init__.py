"""The queue: REPORT_CONFIG and its companions, SQL apart from logic."""

from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Demand, Job, NewJob, Produced

__all__ = ["Claim", "Demand", "Job", "NewJob", "Produced", "ReportQueue"]
