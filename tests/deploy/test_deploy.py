"""What `deploy/` has is what its tools take, hardens the server, and starts it by options that there are."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import kubernetes_validate
import pytest
import typer
import yaml

from blipvino import __version__
from blipvino.cli.serve import app
from blipvino.serve.serve_settings import ServeSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KUBERNETES = "1.32"
USER = 10001
MOST_EXPOSED = 20
"""Of 100, by systemd."""


def options(arguments):
    """What `blipvino serve` makes of a command line."""
    return typer.main.get_command(app).make_context("serve", list(arguments)).params


def instructions(text):
    """A Dockerfile's, with their arguments."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def of_kind(kind):
    return [argument for name, argument in instructions(DOCKERFILE) if name == kind]


def manifests():
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))}


def pod():
    return manifests()["deployment.yaml"]["spec"]["template"]["spec"]


def test_the_dockerfile_is_clean():
    linter = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    assert linter is not None
    done = subprocess.run([linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image():
    assert len(of_kind("FROM")) == 2
    assert of_kind("USER") == [f"{USER}:{USER}"]
    after = [name for name, _ in instructions(DOCKERFILE)]
    assert "RUN" not in after[after.index("USER") :]
    told = options(json.loads(of_kind("ENTRYPOINT")[0])[2:] + json.loads(of_kind("CMD")[0]))
    assert (told["host"], told["port"], told["bundles"]) == ("0.0.0.0", int(of_kind("EXPOSE")[0]), ["demo"])
    extras = re.search(r'"\.\[(.*?)\]"', DOCKERFILE)[1].split(",")
    declared = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in declared for extra in extras)


def test_what_is_copied_is_sent_to_the_builder():
    allowed = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"]
    copied = [each for argument in of_kind("COPY") if "--from" not in argument for each in argument.split()[:-1]]
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / each).exists() for each in copied)
    needed = re.findall(r'^readme = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert set(needed) <= set(copied)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_the_health_check(status, healthy):
    """As it stands there, of a server that is ready, of one that is not, and of none."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    command = json.loads(of_kind("HEALTHCHECK")[0].partition("CMD ")[2])
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        port = server.server_address[1]
        if status is None:
            server.server_close()
        else:
            Thread(target=server.serve_forever, daemon=True).start()
        check = [sys.executable, *command[1:-1], command[-1].replace("8000", str(port))]
        done = subprocess.run(check, capture_output=True, check=False)
        assert (done.returncode == 0) is healthy
        assert asked == ([] if status is None else ["/health/ready"])
        if status is not None:
            server.shutdown()


def test_the_compose_file():
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (service,) = content["services"].values()
    assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["environment"]["BLIPVINO_API_KEYS"].startswith(
        "${BLIPVINO_API_KEYS:?"
    )  # none, and it does not start
    mounts = [volume.rsplit(":", 2) for volume in service["volumes"]]
    assert [mount[-2] for mount in mounts if mount[-1] == "ro"] == ["/bundles"]
    assert "cache" in content["volumes"]
    assert int(service["stop_grace_period"].removesuffix("s")) > ServeSettings.drain_seconds
    plain = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", word) for word in service["command"]]
    told = options(plain)
    assert told["threads"] == int(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", service["cpus"]))
    assert told["bundles"][0].startswith("/bundles/")


def unit():
    lines = [line for line in (DEPLOY / "blipvino.service").read_text().splitlines() if "=" in line and line[0] != "#"]
    return [tuple(line.split("=", 1)) for line in lines]


def test_the_unit_starts_a_server_that_only_this_machine_reaches():
    command = dict(unit())["ExecStart"].replace("$SERVE_OPTIONS", "--workers 2")
    told = options(shlex.split(command)[2:])
    assert (told["host"], told["workers"]) == ("127.0.0.1", 2)
    assert str(told["api_key_file"]) == "%d/api_keys"
    assert dict(unit())["LoadCredential"].startswith("api_keys:")
    assert int(dict(unit())["TimeoutStopSec"]) > ServeSettings.drain_seconds


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_the_unit_is_what_systemd_takes_and_exposes_little(tmp_path):
    path = tmp_path / "blipvino.service"
    path.write_text((DEPLOY / "blipvino.service").read_text().replace("/opt/blipvino/bin/blipvino", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "blipvino" in line] == []
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["deployment.yaml", "service.yaml", "autoscaler.yaml"])
def test_manifests_are_what_kubernetes_takes(name):
    kubernetes_validate.validate(manifests()[name], KUBERNETES, strict=True)


def test_what_is_listed_is_there_and_the_rest_is_for_other_programs():
    every = set(manifests())
    listed = set(manifests()["kustomization.yaml"]["resources"])
    assert listed < every
    assert every - listed == {"kustomization.yaml", "pod-monitor.yaml", "prometheus-adapter-values.yaml"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl here")
def test_kubectl_puts_them_together():
    done = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True)
    made = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert set(made) == {"Deployment", "Service", "HorizontalPodAutoscaler"}
    image = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"blipvino:{__version__}"


def test_the_pod_is_hardened():
    (container,) = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["runAsUser"] == USER
    assert pod()["automountServiceAccountToken"] is False
    inside = container["securityContext"]
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["capabilities"] == {"drop": ["ALL"]}
    written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert written == {"/cache", "/tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod()["volumes"]}


def test_the_pod_is_asked_whether_it_lives_and_is_ready():
    (container,) = pod()["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {
        "startupProbe": "/health/ready",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] > ServeSettings.drain_seconds + pause
    assert options(container["args"])["threads"] == int(container["resources"]["limits"]["cpu"])
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_names_go_together():
    made = manifests()
    labels = made["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    assert made["deployment.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert made["service.yaml"]["spec"]["selector"] == labels
    assert made["pod-monitor.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert made["service.yaml"]["spec"]["ports"][0]["targetPort"] == pod()["containers"][0]["ports"][0]["name"]
    scaled = made["autoscaler.yaml"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == made["deployment.yaml"]["metadata"]["name"]
    secret = pod()["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
    assert made["pod-monitor.yaml"]["spec"]["podMetricsEndpoints"][0]["authorization"]["credentials"] == secret


def test_the_metric_that_replicas_are_added_by_is_one_that_there_is():
    from blipvino.serve.serve_metrics import ServeMetrics

    (metric,) = manifests()["autoscaler.yaml"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"# TYPE {name} gauge" in ServeMetrics().page().decode()
    (rule,) = manifests()["prometheus-adapter-values.yaml"]["rules"]["custom"]
    assert fnmatch.fnmatch(rule["seriesQuery"], f"{name}{{*")
