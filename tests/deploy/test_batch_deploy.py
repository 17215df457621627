"""What `deploy/batch/` has is what its tools take, and starts jobs by options that there are."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import typer
import yaml

from blipvino.cli.batch import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "batch"
KUBERNETES = "1.32"
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#"
)


def options(command):
    """What `blipvino batch` makes of a command line."""
    name, verb, *arguments = shlex.split(command)
    assert (name, verb) == ("blipvino", "batch")
    return typer.main.get_command(app).make_context("batch", arguments).params


def job():
    return yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())["spec"]


def groups():
    cluster = job()["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def script(name, **variables):
    """The command of a shell script, with its variables filled in."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / name).read_text())
    command = next(line[line.index("blipvino batch") :] for line in text.splitlines() if "blipvino batch" in line)
    for variable, value in variables.items():
        command = command.replace(f"${variable}", value)
    return command


def test_the_dockerfile_is_clean_and_has_the_pinned_ray():
    linter = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    assert linter is not None
    done = subprocess.run([linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    text = (DEPLOY / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{CONSTRAINTS['ray']}-py311" in text
    extras = re.search(r"\[(batch.*?)\]", text)[1].split(",")
    declared = (ROOT / "pyproject.toml").read_text()
    assert [extra for extra in extras if f"\n{extra} = [" not in declared] == []


@pytest.mark.parametrize("number", [0, 1])
def test_pods_are_what_kubernetes_takes_and_hardened(number):
    template = groups()[number]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    (container,) = template["spec"]["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_job_runs_on_the_cluster_that_is_made_for_it():
    head, workers = groups()
    told = options(job()["entrypoint"])
    assert (told["engine"].value, told["address"]) == ("ray", None)
    assert job()["rayClusterSpec"]["rayVersion"] == CONSTRAINTS["ray"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    cpus = int(workers["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert told["ray_cpus"] < cpus
    assert told["ray_cpus"] + 2 <= cpus * workers["replicas"]
    mounts = head["template"]["spec"]["containers"][0]["volumeMounts"]
    assert str(told["bundle"]).startswith(mounts[0]["mountPath"])


def test_slurm_does_every_share():
    command = script("slurm.sbatch", bundle="b", input="i", output="o", SLURM_CPUS_PER_TASK="8")
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", (DEPLOY / "slurm.sbatch").read_text(), re.M))
    first, last = map(int, directives["array"].split("-"))
    assert first == 1
    command = command.replace("$SLURM_ARRAY_TASK_ID", str(last)).replace("$SLURM_ARRAY_TASK_COUNT", str(last))
    told = options(command)
    assert (told["shard"], told["threads"]) == (f"{last}/{last}", int(directives["cpus-per-task"]))
    assert subprocess.run(["bash", "-n", DEPLOY / "slurm.sbatch"], check=False).returncode == 0


def test_parallel_does_every_share():
    command = script("parallel.sh", bundle="b", input="i", output="o", shares="16").replace("{}", "3")
    assert options(command)["shard"] == "3/16"
    assert subprocess.run(["sh", "-n", DEPLOY / "parallel.sh"], check=False).returncode == 0


@pytest.mark.skipif(shutil.which("parallel") is None, reason="there is no GNU parallel here")
def test_parallel_runs_each_share_once(tmp_path):
    stub = tmp_path / "bin" / "blipvino"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    stub.chmod(0o755)
    (tmp_path / "machines").write_text("2/:\n")
    path = f"{stub.parent}:/usr/bin:/bin"
    command = ["sh", DEPLOY / "parallel.sh", tmp_path / "machines", "4", "b", "i", tmp_path / "out"]
    subprocess.run(command, env={"PATH": path, "HOME": str(tmp_path)}, check=True, capture_output=True)
    told = (tmp_path / "told").read_text().splitlines()
    assert sorted(line.split("--shard ")[1].split()[0] for line in told) == [f"{number}/4" for number in range(1, 5)]
