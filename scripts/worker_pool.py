"""A Beam worker pool that listens on one address only: ``python -m scripts.worker_pool ADDRESS``.

Beam's own (``apache_beam.runners.worker.worker_pool_main``) listens on all of a machine's
addresses, so a machine has room for one on a port. Two task managers must not share a pool:
both number their workers from one, and the first that is done would stop the other's.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


def main(address: str) -> None:
    """Start workers, a process each, for whoever asks at the address; never ends by itself."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    servicer = BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
