"""The public names: few, all real, and none of them paid for before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import earthclip


def test_every_public_name_is_there() -> None:
    assert sorted(earthclip.__all__) == [
        "EarthCLIPError",
        "Failure",
        "Locator",
        "Posterior",
        "Prediction",
        "__version__",
        "load",
        "to_dataframe",
    ]
    for name in earthclip.__all__:
        assert getattr(earthclip, name) is not None
        assert name in dir(earthclip)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        earthclip.lode  # noqa: B018


@pytest.mark.parametrize("code", ["import earthclip", "from earthclip.cli import main; main(['--help'])"])
def test_nothing_heavy_is_imported_early(code: str) -> None:
    heavy = ["numpy", "PIL", "onnxruntime", "jaxtyping", "torch", "shapely"]
    program = f"import sys; {code}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_running_a_model_never_imports_torch() -> None:
    program = "import sys, earthclip; earthclip.load; earthclip.Prediction; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
