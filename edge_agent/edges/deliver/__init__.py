"""The delivery thread's work: what waits in the outbox goes to the broker, in order, and leaves once it is there."""

from edge_agent.edges.deliver.deliverer import Deliverer
from edge_agent.edges.deliver.ends import Line, Subscription
from edge_agent.edges.deliver.flight import DeliveryCounters

__all__ = ["Deliverer", "DeliveryCounters", "Line", "Subscription"]
