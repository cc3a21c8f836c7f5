"""The queue: REPORT_CONFIG and its companions, SQL apart from logic."""

from report_service.queue.delivery_ledger import DeliveryLedger
from report_service.queue.outcome import Outcome
from report_service.queue.report_queue import ReportQueue
from report_service.queue.rows import Claim, Demand, Job, NewJob, Produced

__all__ = ["Claim", "DeliveryLedger", "Demand", "Job", "NewJob", "Outcome", "Produced", "ReportQueue"]
