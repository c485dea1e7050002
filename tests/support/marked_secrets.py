"""Marked secrets, in every place where a setting can hold one, and a server that sends them back."""

import os
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from devstack.running import StackInfo
from tests.support.ports import unused_port
from tests.support.rpc_processes import ZONE

MARK = "mArKeD"

IN_USERINFO = (*"!$&'()*+,;=:-._~7", "%27")
"""What RFC 3986 allows in the credentials of a URL."""
FORGOTTEN = "/?#@[]%^|{}\\`é"
"""What people write there without encoding it."""


POLICIES = ("echoed", "refused", "polled", "netrc", "proxied", "made", "wrong", "rest", "s3", "nonsense", "unlisted")


def secret(place: str) -> str:
    return f"{MARK}-{place}-{uuid.uuid4().hex[:6]}"


class EchoingTarget:
    """A server that answers every request with all that it was sent, as debugging endpoints do; /refuse with 401."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _echo(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                echo = f"{self.requestline}\n{self.headers}\n".encode() + body
                said = " ".join(self.headers.get_all("Authorization") or ["nothing"])
                if "refuse" in self.path:
                    self.send_response(401, f"no entry for {said}")
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(echo)))
                self.end_headers()
                self.wfile.write(echo)

            do_POST = do_GET = do_HEAD = _echo  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def __enter__(self) -> "EchoingTarget":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def policy_file(folder: Path, echo: int) -> Path:
    (folder / "token").write_text(secret("token"))
    (folder / "password").write_text(secret("password"))
    (folder / "rest").write_text(f"rest:http://user:{secret('rest')}@127.0.0.1:{echo}/refuse/")
    (folder / "s3").write_text(f"s3:http://user:{secret('s3')}@127.0.0.1:{echo}/bucket/refuse")
    (folder / "nonsense").write_text(f"nonsense://user:{secret('nonsense')}@127.0.0.1/")
    (folder / "command").write_text(f"#!/bin/sh\necho {secret('command')}\n")
    (folder / "command").chmod(0o755)
    (folder / "source").mkdir()
    (folder / "source/file").write_text("text")
    made = {"RESTIC_PASSWORD": "another", "RESTIC_REPOSITORY": str(folder / "made"), "HOME": str(folder)}
    subprocess.run(["restic", "init", "-q"], env={"PATH": os.environ["PATH"], **made}, check=True)
    restic = f'type = "restic"\npaths = ["{folder}/source"]\ncache_dir = "{folder}/cache"\ntimeout = 30\n'
    http = 'type = "http"\ntimeout = 5\n'
    token, password = f'token_file = "{folder}/token"\n', f'password_file = "{folder}/password"\n'
    tables = {
        "echoed": f'{http}{token}url = "http://127.0.0.1:{echo}/start?key={secret("query")}"\n',
        "refused": f'{http}{token}url = "http://127.0.0.1:{echo}/refuse?key={secret("query")}"\n',
        "polled": f'{http}{token}completion = "poll"\nurl = "http://127.0.0.1:{echo}/start?key={secret("query")}"\n'
        f'status_url = "http://127.0.0.1:{echo}/status?key={secret("status")}"\n',
        "netrc": f'{http}url = "http://localhost:{echo}/refuse"\n',
        "proxied": f'{http}url = "http://backup.invalid/start?key={secret("query")}"\n',
        "made": f'{restic}{password}repository = "{folder}/new"\n',
        "wrong": f'{restic}repository = "{folder}/made"\npassword_command = "{folder}/command"\n',
        "rest": f'{restic}{password}repository_file = "{folder}/rest"\n',
        "s3": f'{restic}{password}repository_file = "{folder}/s3"\n',
        "nonsense": f'{restic}{password}repository_file = "{folder}/nonsense"\n',
    }
    assert {*tables, "unlisted"} == set(POLICIES)
    file = folder / "policies.toml"
    file.write_text("\n".join(f"[policies.{name}]\n{table}" for name, table in tables.items()))
    return file


def settings_of(folder: Path, broker: str, stack: StackInfo, queue: str, echo: int) -> dict[str, str]:
    """Return an environment with a marked secret in every variable that can hold one."""
    profiles = folder / "temporal.toml"
    profiles.write_text(f'[profile.default]\napi_key = "{secret("profile")}"\n')
    netrc = folder / "netrc"
    netrc.write_text(f"machine localhost login user password {secret('netrc')}\n")
    netrc.chmod(0o600)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "TEMPORAL_"))}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AMQP_URI": broker,
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_CONFIG_FILE": str(profiles),
        "TEMPORAL_API_KEY": secret("api-key"),
        "TEMPORAL_TLS": "false",
        "TEMPORAL_GRPC_META_X_SECRET": secret("header"),
        "SCHEDULER_TIMEZONE": ZONE,
        "SCHEDULER_TASK_QUEUE": queue,
        "SCHEDULER_LOG_LEVEL": "debug",
        "SCHEDULER_LOG_FORMAT": "json",
        "SCHEDULER_SHUTDOWN_GRACE": "0",
        "SCHEDULER_POLICIES": str(policy_file(folder, echo)),
        "SCHEDULER_BACKUP_URL": f"http://user:{secret('fallback')}@127.0.0.1:{echo}/refuse?sig={secret('signature')}",
        "HTTP_PROXY": f"http://user:{secret('proxy')}@127.0.0.1:{unused_port()}/",
        "NO_PROXY": "127.0.0.1,localhost",
        "NETRC": str(netrc),
        "AWS_ACCESS_KEY_ID": secret("aws-id"),
        "AWS_SECRET_ACCESS_KEY": secret("aws-key"),
        "RESTIC_PASSWORD": secret("restic"),
    }
