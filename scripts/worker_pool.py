"""A Beam worker pool that listens on one address only: ``python -m scripts.worker_pool ADDRESS``.

Beam's own (``apache_beam.runners.worker.worker_pool_main``) listens on all of a machine's
addresses, so a machine has room for one on a port. Two task managers must not share a pool:
both number their workers from one, and the first that is done would stop the other's.

Flink has a worker started for every stage of a job. These are forked from a process that
has imported Beam, once: two seconds of a core saved each time.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness

_PATIENCE = 10  # s for a worker to end


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops workers, a process each."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([SdkHarness.__module__])
        self.workers: dict[str, multiprocessing.process.BaseProcess] = {}

    def StartWorker(  # noqa: N802 (the service's name)
        self, request: beam_fn_api_pb2.StartWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker that asks at `request.control_endpoint` for its work."""
        arguments = (request.control_endpoint.url, request.worker_id)
        worker = self.context.Process(target=_work, args=arguments)
        worker.start()
        self.workers[request.worker_id] = worker
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(  # noqa: N802
        self, request: beam_fn_api_pb2.StopWorkerRequest, context: grpc.ServicerContext
    ) -> beam_fn_api_pb2.StopWorkerResponse:
        """End a worker."""
        worker = self.workers.pop(request.worker_id, None)
        if worker is not None:
            worker.terminate()
            worker.join(_PATIENCE)
            worker.kill()
            worker.join()
        return beam_fn_api_pb2.StopWorkerResponse()


def _work(endpoint: str, name: str) -> None:
    SdkHarness(endpoint, worker_id=name, state_cache_size=0, data_buffer_time_limit_ms=-1).run()


def main(address: str) -> None:
    """Start workers, a process each, for whoever asks at the address; never ends by itself."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Pool(), server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
