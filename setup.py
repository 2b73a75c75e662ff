"""What Beam workers install and what `pip install -e .` installs. Imports nothing of the project: pip runs it alone.

Versions are not chosen here but in constraints.txt, which pins them all; a lower bound stands only where an older
version is known not to do.
"""

from setuptools import find_packages, setup

PACKAGES = ("schemas", "storage", "models", "transforms", "scrapers", "pipelines")

REQUIRES = [
    "apache-beam>=2.77",
    "botocore",
    "defusedxml",
    "deltalake>=1.6",
    "duckdb",
    "fsspec",
    "langcodes",
    "langdetect",
    "language_data",
    "msgspec",
    "numpy",
    "openpyxl",
    "psutil",
    "py3langid",
    "pyahocorasick",
    "pyarrow",
    "rich",
    "s3fs",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tyro",
]

EXTRAS = {
    "transformers": ["safetensors", "sentencepiece", "torch", "transformers>=5"],
    "scrape": ["scrapy"],
    "translate": ["deep-translator"],
    "lingua": ["lingua-language-detector"],
    "test": [
        "hypothesis",
        "mypy",
        "pytest",
        "pytest-timeout",
        "ruff",
        "setuptools>=77",
        "types-psutil",
        "wheel",
    ],
}
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})

setup(
    name="babelbeam",
    version="0.1.0",
    description="Codes multilingual text corpora for comparative political science",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    package_dir={"": "."},  # an editable install is then one plain path that editors can follow
    packages=find_packages(include=[*PACKAGES, *(f"{name}.*" for name in PACKAGES)]),
    package_data={"": ["**/*.toml", "**/*.csv", "**/*.safetensors"]},
    zip_safe=False,
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["babelbeam = pipelines.__main__:main"]},
)
