"""The commands a user types."""

import json
import shlex
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import support
from support import CREATE, pipe
from support import run_server as run


def sandboxed(folder: Path) -> list[str]:
    return ["--sandbox", "--sandbox-data", str(folder / "data")]


def test_version_prints_the_version(tmp_path: Path) -> None:
    finished = run("--version", cwd=tmp_path)
    assert (finished.stdout, finished.returncode) == ("decthings-mcp 0.1.0\n", 0)


@pytest.mark.parametrize("form", ["argument", "file", "stdin"])
def test_call_prints_the_structured_result(form: str, tmp_path: Path) -> None:
    text = json.dumps(CREATE)
    (tmp_path / "arguments.json").write_text(text)
    argument = {"argument": text, "file": "@arguments.json", "stdin": "-"}[form]
    finished = run(*sandboxed(tmp_path), "call", "create_model", argument, cwd=tmp_path, given=text)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout)["result"]["modelId"]


@pytest.mark.slow
def test_a_failed_call_exits_with_1(tmp_path: Path) -> None:
    finished = run(*sandboxed(tmp_path), "call", "create_model", "{}", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (1, "")
    assert json.loads(finished.stdout)["error"]["code"] == "invalid_arguments"


@pytest.mark.slow
@pytest.mark.parametrize(("command", "redirection", "expected"), [
    (["call", "find_models"], ">/dev/full", "The output cannot be written: No space left"),
    (["call", "find_models"], ">&-", "Nothing was called: stdout is closed"),
    (["call", "find_models", "-"], "<&-", "stdin is closed"),
    (["--version"], ">/dev/full", "The output cannot be written"),
    (["demo"], ">/dev/full", "The output cannot be written"),
])  # fmt: skip
def test_a_closed_or_full_stream_is_reported_in_a_line(
    command: list[str], redirection: str, expected: str, tmp_path: Path
) -> None:
    shell = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh"]
    finished = subprocess.run(
        [*shell, *support.server_command(*sandboxed(tmp_path), *command)], cwd=tmp_path,
        env=support.environment(), text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert finished.returncode == 1
    assert expected in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
def test_a_result_that_cannot_be_written_to_stdout_is_on_stderr(tmp_path: Path) -> None:
    call = support.server_command(*sandboxed(tmp_path), "call", "create_model", json.dumps(CREATE))
    finished = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >/dev/full', "sh", *call], cwd=tmp_path, env=support.environment(), text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    result, _, reason = finished.stderr.rpartition("}\n")
    assert json.loads(result + "}")["outcome"] == "created"
    assert len(reason.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "status", "expected"), [
    (["call", "create_model", "not json"], 1, "cannot be read"),
    (["call", "create_model", "[]"], 1, "JSON object"),
    (["call", "create_model", "@none.json"], 1, "cannot be read"),
    (["call", "no_such_tool"], 1, "Unknown tool 'no_such_tool'. Available: find_models, find_datasets"),
    (["--api-url", "http://example.com/v0"], 2, "https://"),
    (["--log-level", "loud"], 2, "invalid choice"),
    (["--tools", "create_model,none"], 2, "Unknown tools in --tools: none. Available: find_models, "),
    (["--tools", "find_models", "call", "create_model"], 1, "Available: find_models."),
    (["--read-only", "call", "delete_model"], 1, "Unknown tool 'delete_model'."),
])  # fmt: skip
def test_a_usage_error_is_a_line_on_stderr(arguments: Any, status: int, expected: str, tmp_path: Path) -> None:
    finished = run(*arguments, cwd=tmp_path)
    assert finished.returncode == status
    assert expected in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


@pytest.mark.slow
def test_a_folder_that_does_not_exist_is_reported_by_the_call(tmp_path: Path) -> None:
    call = ["call", "--files", "none", "inspect_model_file", '{"path": "a.onnx"}']
    finished = run("--files", "${user_config.folders}", *call, cwd=tmp_path)
    error = json.loads(finished.stdout)["error"]
    assert (error["code"], finished.returncode, finished.stderr) == ("file_not_allowed", 1, "")
    assert f"{tmp_path / 'none'} is not a folder" in error["message"]


@pytest.mark.slow
def test_the_demo_creates_a_model_in_each_way_and_tries_one(tmp_path: Path) -> None:
    finished = run("demo", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.count("    model ") == 4
    assert "name_already_used" in finished.stdout
    assert (
        "    rose, score 0.96\n    the same as the file gives on this machine, largest difference 0\n"
        in finished.stdout
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_key_file_that_all_can_read_is_warned_about_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "auth.txt").write_text("k-secret")
    (tmp_path / "auth.txt").chmod(0o644)
    finished = run("--api-key-file", "auth.txt", cwd=tmp_path)
    assert "chmod 600" in finished.stderr
    assert "k-secret" not in finished.stderr
    assert (finished.returncode, finished.stdout) == (0, "")


@pytest.mark.slow
def test_the_sandbox_serves_a_port_until_it_is_interrupted(tmp_path: Path) -> None:
    command = support.server_command("sandbox", "--port", "0", "--sandbox-data", str(tmp_path / "data"))
    streams: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=support.environment(), **streams) as server:
        url = pipe(server.stdout).readline().split()[4]
        arguments = ["--api-url", url, "call", "create_model", json.dumps(CREATE)]
        # A proxy that is not there does no harm: nobody is asked for what is on this machine.
        finished = run(*arguments, cwd=tmp_path, DECTHINGS_API_KEY="k", http_proxy="http://127.0.0.1:9")
        assert json.loads(finished.stdout)["sandbox"] is True
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        assert pipe(server.stderr).read() == ""


@pytest.mark.slow
def test_the_sandbox_reports_a_port_in_use_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        finished = run("sandbox", "--port", port, "--sandbox-data", "data", cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "variables"), [
    ([], {"ALL_PROXY": "socks5://127.0.0.1:9"}),
    ([], {"HTTPS_PROXY": "nonsense://127.0.0.1:9"}),
    ([], {"SSL_CERT_FILE": "/none.pem"}),
    (["--sandbox", "--sandbox-data", "/proc/none"], {}),
    (["--sandbox", "--sandbox-data", "/dev/null"], {}),
])  # fmt: skip
def test_a_failed_set_up_is_reported_by_the_call(arguments: Any, variables: dict[str, str], tmp_path: Path) -> None:
    call = [*arguments, "call", "create_model", json.dumps(CREATE)]
    finished = run(*call, cwd=tmp_path, DECTHINGS_API_KEY="k", **variables)
    error = json.loads(finished.stdout)["error"]
    assert (error["code"], error["outcome"]) in (
        ("not_configured", "not_created"),
        ("connection_failed", "not_created"),
    )
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("redirection", [">&-", "<&-", "| true", "| head -n 4"])
def test_closed_standard_streams_end_the_server_quietly(redirection: str, tmp_path: Path) -> None:
    for arguments in (["demo"], ["--version"], []):
        command = f"{shlex.join(support.server_command(*arguments))} {redirection}"
        finished = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path, env=support.environment(PYTHONUNBUFFERED="1"), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Traceback" not in finished.stdout + finished.stderr


@pytest.mark.slow
def test_data_for_the_sandbox_without_it_is_refused(tmp_path: Path) -> None:
    finished = run("--sandbox-data", "data", "call", "create_model", "{}", cwd=tmp_path)
    assert finished.returncode == 2
    assert "--sandbox" in finished.stderr


@pytest.mark.slow
def test_an_option_cannot_be_shortened_into_another(tmp_path: Path) -> None:
    finished = run("--api-key=auth.txt", cwd=tmp_path)
    assert finished.returncode == 2
    assert "unrecognized arguments" in finished.stderr


@pytest.mark.slow
def test_the_sandbox_reports_bad_credentials(tmp_path: Path, sandbox_url: str) -> None:
    arguments = ["--api-url", sandbox_url, "call", "create_model", json.dumps(CREATE)]
    answer = json.loads(run(*arguments, cwd=tmp_path, DECTHINGS_API_KEY="bad-key").stdout)
    assert answer["error"]["code"] == "bad_credentials"
