"""The demo leaves no process behind, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import local.__main__ as cli
from local.platform import Platform
from local.processes import StepFailed


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "local", "demo", "--folder", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder, or the demo's own; zombies have none."""
    lines = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(folder) in line:
            lines.append(line)
    return lines


def test_an_interrupted_demo_stops_everything(tmp_path: Path) -> None:
    demo = start(tmp_path)
    until = time.monotonic() + 30
    while not (tmp_path / "logs" / "synth.log").exists():
        assert time.monotonic() < until, processes_of(tmp_path)
        time.sleep(0.05)
    assert len(processes_of(tmp_path)) >= 3  # the demo, both stand-ins

    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=30)

    assert demo.returncode == 130, output
    assert "Interrupted by SIGINT" in output
    assert processes_of(tmp_path) == []


class NowhereToSynth(Platform):
    """A platform whose assembly cannot be written."""

    @property
    def assembly(self) -> Path:
        return Path("/dev/null/cdk.out")


def test_a_step_that_fails_is_named_with_its_reason_and_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "Platform", NowhereToSynth)
    monkeypatch.setattr(sys, "argv", ["local", "demo", "--folder", str(tmp_path)])
    handlers = {number: signal.getsignal(number) for number in cli.SIGNALS}

    code = cli.main()

    for number, handler in handlers.items():
        signal.signal(number, handler)
    said = capsys.readouterr().out
    assert code == 1
    assert "cdk synth failed: exit code" in said
    assert "ENOTDIR" in said
    assert str(tmp_path / "logs" / "synth.log") in said
    assert processes_of(tmp_path) == []


def test_a_folder_that_is_no_platform_is_never_erased(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(StepFailed, match="thesis.txt"):
        Platform(tmp_path).erase()
    assert (tmp_path / "thesis.txt").exists()
