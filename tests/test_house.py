"""The house rules that a machine can check: imports, commands' help, sizes of files."""

import ast
import collections
import graphlib
import re
import subprocess
import sys

import pytest

from tests.helpers.places import ROOT

PACKAGES = ("schemas", "beam_pipelines", "trainer", "serving")
MAY_IMPORT = {
    "schemas": {"schemas"},
    "beam_pipelines": {"schemas", "beam_pipelines"},
    "trainer": {"schemas", "trainer"},
    "serving": {"schemas", "beam_pipelines", "serving"},
}
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


COMMANDS = [module_of(path) for path in SOURCES if "\n    run_command(" in path.read_text()]


@pytest.fixture(scope="session")
def answers():
    """(stdout, stderr, exit code) by command and option; they run side by side."""
    running = {
        (command, option): subprocess.Popen(
            [sys.executable, "-m", command, option],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for command in COMMANDS
        for option in ("--help", "--no_such_option")
    }
    return {
        key: (*process.communicate(timeout=300), process.returncode)
        for key, process in running.items()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_down(package):
    wrong = []
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] != package:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                names = [node.module]
            for name in names:
                if name.split(".")[0] in set(PACKAGES) - MAY_IMPORT[package]:
                    wrong.append(f"{module_of(path)} imports {name}")
    assert wrong == []


def room_of(module):
    """The folder that a module lies in; None for one at the top of its package."""
    package, *folders, _ = module.split(".")
    return ".".join([package, *folders]) if folders else None


def imports():
    """(module, imported module) of our own, wherever in the file the import stands."""
    modules = {module_of(path).removesuffix(".__init__") for path in SOURCES}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    target = name if name in modules else node.module
                    if target in modules and path.stem != "__init__":
                        yield module_of(path), target


def is_door(module):
    """Commands and documented Python; all of schemas' contracts are meant to be met."""
    return room_of(module) is None and not module.startswith("schemas")


def test_a_room_has_at_most_twelve_files():
    rooms = collections.Counter(path.parent for path in SOURCES if path.stem != "__init__")
    crowded = {str(room.relative_to(ROOT)): n for room, n in rooms.items() if n > 12}
    assert crowded == {}


def test_doors_import_no_doors_and_rooms_no_doors():
    wrong = [pair for pair in imports() if is_door(pair[1]) and pair[0] != pair[1]]
    assert wrong == []


def test_no_circle_between_files_or_rooms_and_no_arrow_up():
    files = {(a, b) for a, b in imports()}
    rooms = {(room_of(a) or a, room_of(b) or b) for a, b in files}
    for arrows in (files, {(a, b) for a, b in rooms if a != b}):
        graph = collections.defaultdict(set)
        for a, b in arrows:
            graph[a].add(b)
        assert list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names a circle


def test_no_test_module_is_imported_by_another():
    wrong = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        found = re.findall(r"^\s*(?:from|import) (tests\.[\w.]*test_\w+)", path.read_text(), re.M)
        wrong += [(str(path.relative_to(ROOT)), name) for name in found]
    assert wrong == []


TENSORFLOW = {"tensorflow", "keras", "librosa", "numba"}
ELSEWHERE = {"sqlalchemy", "h5py", "beam_pipelines.dataset", "beam_pipelines.report"}
LIGHT = {  # module: what does not come with it
    "beam_pipelines.audio.decode": TENSORFLOW | ELSEWHERE | {"apache_beam", "pandas"},
    "beam_pipelines.build": TENSORFLOW,
    "beam_pipelines.scan": TENSORFLOW | ELSEWHERE | {"pandas"},
    "schemas.saved_model": TENSORFLOW | ELSEWHERE | {"apache_beam", "pandas"},
    "serving.engine.beam_job": TENSORFLOW | ELSEWHERE | {"pandas"},
    "serving.engine.run": TENSORFLOW | ELSEWHERE | {"apache_beam", "pandas"},
    "serving.predict": TENSORFLOW | ELSEWHERE | {"apache_beam", "pandas"},
}


@pytest.mark.parametrize("module", LIGHT)
def test_what_workers_import_is_light(module):
    """A process starts with what it needs: the service without Beam, workers without the build."""
    code = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert LIGHT[module] & set(done.stdout.split()) == set()


def test_commands_are_found():
    assert {"beam_pipelines.build", "beam_pipelines.sample", "serving.predict"} <= set(COMMANDS)
    assert {"trainer.task", "trainer.evaluate"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, answers):
    out, err, code = answers[command, "--help"]
    assert (code, err) == (0, "")
    assert re.match(rf"usage: (python -m )?{re.escape(command)} ", out)
    options = re.findall(r"--([a-zA-Z][\w-]*)", out.split("\n\n")[0])
    assert options and not [option for option in options if "-" in option]


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_options_are_one_line(command, answers):
    out, err, code = answers[command, "--no_such_option"]
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .*\n", err)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_sizes(path):
    """No file over 400 lines and no function over 60, its docstring aside."""
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = (ast.get_docstring(node, clean=False) or "").count("\n")
            assert node.end_lineno - node.lineno - docstring < 60, node.name


def test_the_paths_of_the_architecture_page_exist():
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.split("## Where is")[1]
    named = re.findall(r"`([\w/]+\.py)`", table)
    places = [ROOT, ROOT / "beam_pipelines"]
    assert len(named) >= 15
    assert [name for name in named if not any((at / name).is_file() for at in places)] == []


def test_the_readme_names_no_other_options(answers):
    known = set()
    for (_, option), (out, _, _) in answers.items():
        if option == "--help":
            known |= set(re.findall(r"--\w+", out))
    named = set(re.findall(r"--[a-z]\w+", (ROOT / "README.md").read_text()))
    of_beam = {"--flink_master"}
    assert len(named) > 20 and named - known == of_beam
