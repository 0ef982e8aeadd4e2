"""Level 9: faults on the wire between an SDK and a service that speaks HTTP (extra `wire`).

async with HttpFaultProxy("127.0.0.1", port, faults=WireFaults(seed=7), dialect=S3) as proxy:
    ...  # give proxy.endpoint to the SDK
"""

from perdure_conformance.wire._dialects import BLOB, S3, SQS, Dialect
from perdure_conformance.wire._faults import KINDS, WireFault, WireFaults
from perdure_conformance.wire._proxy import HttpFaultProxy

__all__ = ["BLOB", "KINDS", "S3", "SQS", "Dialect", "HttpFaultProxy", "WireFault", "WireFaults"]
