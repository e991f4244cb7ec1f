# What every host of a cluster needs: Beam's worker, Orpheus and the audio libraries.
#   docker build -t REGISTRY/orpheus-worker .
# Beside each task manager:   docker run --network host -v /data:/data REGISTRY/orpheus-worker --worker_pool
# or let Flink start it:      --environment_type=DOCKER --environment_config=REGISTRY/orpheus-worker
# Python and Beam must be those of the submitting machine (requirements.lock).
FROM apache/beam_python3.11_sdk:2.77.0
WORKDIR /opt/orpheus
COPY requirements.lock ./
RUN pip install --no-cache-dir -r requirements.lock
COPY setup.py pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY beam_pipelines beam_pipelines
COPY serving serving
COPY trainer trainer
RUN pip install --no-cache-dir --no-deps .
# A clip is decoded by one thread; several run side by side.
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
