"""Running the external tools: what is missing is named."""

import re
import sys

import pytest

from hw.tools import ToolError, run


def refused(command, folder, log):
    with pytest.raises(ToolError) as caught:
        run([command, "-c", "pass"], folder, log)
    return str(caught.value)


def test_a_command_that_is_missing_is_named(tmp_path):
    message = refused("no-such-tool", tmp_path, tmp_path / "log")
    assert message == "no-such-tool: not found; install it or put it on PATH"


def test_a_folder_that_is_missing_is_not_taken_for_a_missing_command(tmp_path):
    message = refused(sys.executable, tmp_path / "none", tmp_path / "log")
    rule = f"must be a folder for {sys.executable} to run in, but there is none; make it"
    assert message == f"{tmp_path / 'none'}: {rule}"


def test_a_log_that_cannot_be_written_is_not_taken_for_a_missing_command(tmp_path):
    log = tmp_path / "none" / "log"
    with pytest.raises(FileNotFoundError, match=re.escape(str(log))):
        run([sys.executable, "-c", "pass"], tmp_path, log)
