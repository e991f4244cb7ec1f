"""Orpheus: from a tree of audio to a music auto-tagger. Beam workers install this package too."""

from setuptools import find_packages, setup

setup(
    name="orpheus-tagging",
    version="0.1.0",
    description="Million Song Dataset to music auto-tagger: pipelines, training, a service",
    python_requires=">=3.11",
    packages=find_packages(include=["beam_pipelines*", "schemas*", "serving*", "trainer*"]),
    package_data={
        "beam_pipelines.tags": ["curated/*"],
        "trainer": ["presets/*.json"],
        "serving": ["page/*"],
    },
    install_requires=[
        "ai-edge-litert>=2.1",
        "apache-beam>=2.77",
        "google-crc32c>=1.5",
        "h5py>=3.14",
        "keras>=3.12",
        "librosa>=0.11",
        "matplotlib>=3.9",
        "mutagen>=1.47",
        "numpy>=2",
        "pandas>=2.2",
        "pyarrow>=14",
        "scipy>=1.13",
        "sounddevice>=0.5",
        "soundfile>=0.13",
        "soxr>=0.5",
        "sqlalchemy>=2",
        "starlette>=0.45",
        "tensorboard>=2.20",
        "tensorflow>=2.21",
        "tensorflow-transform>=1.21",
        "threadpoolctl>=3.5",
        "uvicorn>=0.34",
    ],
    extras_require={
        "test": [
            "hypothesis",
            "jax",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "scikit-learn",
            "tensorflow-serving-api",
            "websockets",
        ]
    },
)
