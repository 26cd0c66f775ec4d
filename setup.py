from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="sls-plugin",
    version="0.3.0",
    description="A fairseq plugin that detects synthetic speech: XLS-R + SLS, its data, metrics and tools",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["sls_plugin*", "fairseq_ckpt*", "protocols*"]),
    package_data={"sls_plugin.report": ["*.html", "*.js"]},
    # fairseq-fixed is the maintained build of fairseq for Python 3.11 to 3.13; upstream 0.12.2 does not import there.
    install_requires=[
        "torch>=2.10,<3",  # before it, weights_only loading of a crafted checkpoint can run code (CVE-2026-24747)
        "fairseq-fixed==0.12.3.1",
        "numpy>=1.26,<3",
        "librosa>=0.10.2,<1",  # what decoding and mel bands must equal: the tests compare with it, and no command imports it
        "soundfile>=0.13,<1",
        "soxr>=0.4,<2",
        "safetensors>=0.4.3,<1",
        "scipy>=1.11,<2",
        "tensorboardX>=2.6,<3",
        "tqdm>=4.60,<5",
    ],
    extras_require={
        "augment": ["pyroomacoustics>=0.8,<1"],  # makes room responses where no folder of them is given
        "data": ["huggingface_hub>=1,<3"],
        "onnx": ["onnx>=1.17,<2", "onnxruntime>=1.24,<2", "onnxscript>=0.5,<1"],  # onnxruntime alone scores an exported file
        "report": ["matplotlib>=3.8,<4", "jinja2>=3.1,<4"],
        "test": [
            "pytest>=8,<10",
            "pytest-timeout>=2.3,<3",
            "pytest-xdist>=3.7,<4",
            "hypothesis>=6.100,<7",
            "scikit-learn>=1.3,<2",
            "transformers>=5,<6",
            "ruff==0.17.5",
        ],
    },
    entry_points={"console_scripts": ["sls=sls_plugin.__main__:main"]},
)
