"""The recipes of models/bundled/, without training: the commands they give, in which order.

A stand-in for `python` and `torchrun` writes down each command, checks that the files which it
reads are there by then, and makes the ones it would write.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

import train

RECIPES = Path(__file__).resolve().parents[2] / "models" / "bundled"
STAND_IN = """#!{python}
import json, sys
from pathlib import Path

arguments = sys.argv[1:]
made, read = [], []
if "train.py" in arguments:
    flags = arguments[arguments.index("train.py") + 1 :]
    value = dict(zip(flags, flags[1:]))
    kind = {{"estimation": "disparity", "refinement": "refine", "inpainting": "inpaint"}}
    stem = f"models/trained/{{kind[value['--training-mode']]}}-{{value['--save-name']}}"
    made = [stem + ".tar", stem + "-best.tar"]
    read = [value[name] for name in ("--model-path", "--dataset-file") if name in value]
    entry = {{"flags": flags, "sets": json.loads(Path(value["--dataset-file"]).read_text())}}
    entry["resumes"] = Path(made[0]).exists()
else:
    module, rest = arguments[1], arguments[2:]
    entry = {{"module": module, "arguments": rest}}
    if module == "utils.synthetic":
        Path(rest[rest.index("--out") + 1]).mkdir(parents=True, exist_ok=True)
    elif module == "models.bundled.relabel_photos":
        read = [rest[0], rest[2]]
        Path(rest[1]).mkdir(parents=True)
    else:
        made, read = rest[:1], rest[1:]
missing = [path for path in read if not Path(path).exists()]
if missing:
    sys.exit(f"{{arguments}} reads what is not there: {{missing}}")
for path in made:
    Path(path).touch()
with open("commands.jsonl", "a") as file:
    file.write(json.dumps(entry) + "\\n")
"""


@pytest.fixture
def run_recipe(tmp_path):
    """Run a script of models/bundled in a folder of its own; give the commands of this run."""
    data, project, programs = (tmp_path / name for name in ("data", "project", "programs"))
    weights = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(RECIPES, project / "models" / "bundled", ignore=weights)
    (project / "models" / "trained").mkdir()
    for folder in ("photos/images", "strong", "nyu-train", "val/stereo/one"):
        (data / folder).mkdir(parents=True)
    for name in ("mobilenetv2_imagenet", "efficientnet_lite2_imagenet"):
        (data / f"{name}.safetensors").touch()
    programs.mkdir()
    for name in ("python", "torchrun"):
        (programs / name).write_text(STAND_IN.format(python=sys.executable))
        (programs / name).chmod(0o755)

    def run(script, **settings):
        log = project / "commands.jsonl"
        log.unlink(missing_ok=True)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(project / "models" / "bundled" / script), str(data)],
            env=os.environ | {"PATH": path} | settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        commands = [json.loads(line) for line in log.read_text().splitlines()]
        return commands, project / "models" / "trained"

    return run


def trainings(commands):
    return [command for command in commands if "flags" in command]


def value_of(training, flag):
    return training["flags"][training["flags"].index(flag) + 1]


@pytest.mark.parametrize("script", ["train_depth.sh", "train_inpainting.sh"])
def test_every_training_has_flags_and_sets_that_train_knows(script, run_recipe):
    commands, _ = run_recipe(script)
    for training in trainings(commands):
        settings = train.read_settings(training["flags"])
        known = {data_set["name"] for data_set in training["sets"]}
        assert settings.dataset and {*settings.dataset, *(settings.val_dataset or ())} <= known


def test_depth_goes_from_imagenet_weights_to_packed_files(run_recipe):
    commands, trained = run_recipe("train_depth.sh")
    names = [value_of(training, "--save-name") for training in trainings(commands)]
    assert names == [
        "first", "second", "last", "small", "middle", "large", "order", "mix", "bundled"
    ]  # fmt: skip
    assert not any(training["resumes"] for training in trainings(commands))
    assert (trained / "disparity-packed.safetensors").exists()
    assert (trained / "refine-packed.safetensors").exists()


def test_begun_again_it_goes_on_with_what_is_unfinished(run_recipe):
    _, trained = run_recipe("train_depth.sh")
    (trained / "disparity-packed.safetensors").unlink()
    commands, _ = run_recipe("train_depth.sh")
    again = trainings(commands)
    assert len(again) == 6  # the first network is packed already
    assert all(training["resumes"] and "--resume" in training["flags"] for training in again)


@pytest.mark.parametrize("percent", ["2", "0"])
def test_percent_shortens_every_part_but_to_no_less_than_a_step(percent, run_recipe):
    commands, _ = run_recipe("train_depth.sh", PERCENT=percent, AMP="no", PROCESSES="2")
    for training in trainings(commands):
        assert 1 <= int(value_of(training, "--steps")) <= 200
        assert value_of(training, "--amp") == "no"
