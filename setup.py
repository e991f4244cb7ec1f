"""For Beam's --setup_file: what workers install. The metadata stand in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["beam_pipelines*", "schemas*", "serving*", "trainer*"]),
    include_package_data=False,  # package_data names them all; else folders of data are warned of
    package_data={
        "beam_pipelines": ["py.typed"],
        "beam_pipelines.tags": ["curated/*"],
        "schemas": ["py.typed"],
        "serving": ["page/*", "py.typed"],
        "trainer": ["presets/*.json", "py.typed"],
    },
)
