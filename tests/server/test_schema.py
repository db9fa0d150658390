"""schemathesis asks what the description allows, and what it does not: nothing is answered with 5xx."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.server.running import Running

SCHEMATHESIS = Path(sysconfig.get_path("scripts"), "schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.slow
@pytest.mark.skipif(not SCHEMATHESIS.is_file(), reason="schemathesis is not installed")
def test_no_request_breaks_the_server(server: Running, tmp_path: Path) -> None:
    address = f"http://{server.host}:{server.port}/openapi.json"
    options = ["--checks", CHECKS, "--max-examples", "25", "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    command = [sys.executable, str(SCHEMATHESIS), "run", address, *options, "--generation-database", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    assert server.ask("GET", "/readyz").status == 200
    statuses = [line["status"] for line in server.lines() if line["event"] == "request"]
    assert len(statuses) > 50 and max(statuses) < 500
