"""Every deployment file is accepted by a real validator, and the validator refuses a broken copy of it."""

import ast
import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.celery import QUEUES
from tests.tidy.settings_table import defaults, documented, page, read_settings
from tests.tidy.tools import DEPLOY, ROOT, broken, run

DEV = "script/test installs it (requirements-dev.txt)"

# --- Dockerfile ---


def _copies() -> list[tuple[list[str], str]]:
    """(sources in the repository, target) of each COPY line that copies from it."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return [(words[:-1], words[-1]) for words in (line.split() for line in lines)]


def test_dockerfile(tmp_path: Path) -> None:
    said = run("hadolint", DEPLOY / "Dockerfile", package=DEV)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    bad = broken(DEPLOY / "Dockerfile", tmp_path / "Dockerfile", "python:3.11-slim-trixie AS", "python:latest AS")
    assert run("hadolint", bad, package=DEV).returncode != 0
    bad = broken(DEPLOY / "Dockerfile", tmp_path / "Dockerfile", "USER 10001", "USSER 10001")
    assert run("hadolint", bad, package=DEV).returncode != 0


def test_what_the_dockerfile_copies_exists_and_is_let_in() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(line for line in ignored if line and not line.startswith("#")) == "*"
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = {source for sources, _ in _copies() for source in sources}
    assert sources == let_in
    for source in sources:
        assert (ROOT / source).exists(), source
    assert not [name for name in let_in if "secret" in name or ".env" in name]


def test_every_package_of_ours_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= {source for sources, _ in _copies() for source in sources}


def test_the_image_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.rsplit("\nFROM ", 1)[1]
    assert "\nUSER 10001:10001\n" in final
    assert "\nHEALTHCHECK " in final
    assert "trixie" in final.splitlines()[0]
    assert not re.search(r"^(ENV|ARG) .*(SECRET|PASSWORD|KEY)", text, re.MULTILINE)


# --- compose.yaml ---


@pytest.fixture(scope="module")
def compose() -> Any:
    """The compose file with its anchors resolved."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose_follows_the_specification(tmp_path: Path) -> None:
    def check(path: Path) -> int:
        return run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", path, package=DEV).returncode

    assert check(DEPLOY / "compose.yaml") == 0
    assert check(broken(DEPLOY / "compose.yaml", tmp_path / "compose.yaml", "    healthcheck:", "    healthchek:")) != 0


def test_compose_is_tidy_yaml(tmp_path: Path) -> None:
    def check(path: Path) -> int:
        return run("yamllint", "--strict", "--config-file", DEPLOY / "yamllint.yaml", path, package=DEV).returncode

    assert check(DEPLOY / "compose.yaml") == 0
    assert check(broken(DEPLOY / "compose.yaml", tmp_path / "compose.yaml", "  web:\n", "  web:\n   x: 1\n")) != 0


def _ours(compose: Any) -> dict[str, Any]:
    return {name: each for name, each in compose["services"].items() if str(each["image"]).startswith("tributary:")}


def test_compose_hardens_every_service_of_ours(compose: Any) -> None:
    assert set(_ours(compose)) == {"web", "worker", "transcode", "beat", "migrate", "backup"}
    for name, service in _ours(compose).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == "10001:10001", name
    for name, service in compose["services"].items():
        assert "healthcheck" in service, name
        assert service["restart"] == ("no" if name in {"migrate", "backup"} else "unless-stopped"), name
        assert ("ports" in service) == (name == "caddy"), name
        assert not service.get("privileged"), name


def test_the_transcode_worker_reaches_nobody_outside(compose: Any) -> None:
    assert compose["services"]["transcode"]["networks"] == ["back"]
    assert compose["networks"]["back"]["internal"] is True


def test_every_queue_has_one_kind_of_worker(compose: Any) -> None:
    worked = []
    for service in _ours(compose).values():
        command = service.get("command", [])
        if "--queues" in command:
            worked += command[command.index("--queues") + 1].split(",")
    assert sorted(worked) == sorted(QUEUES)


def test_compose_keeps_secrets_in_files(compose: Any) -> None:
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        for variable, value in environment.items():
            secret = re.search("PASSWORD|SECRET|DATABASE_URL", variable)
            assert not secret or (variable.endswith("_FILE") and str(value).startswith("/run/secrets/")), (name, variable)
        for secret in service.get("secrets", []):
            assert compose["secrets"][secret]["file"].startswith("./secrets/"), (name, secret)
    # The services that face the world do not hold the owner's password.
    assert compose["services"]["web"]["secrets"] == compose["services"]["worker"]["secrets"] == ["database_url"]
    assert "env_file" not in compose["services"]["caddy"]


def test_only_caddy_is_believed(compose: Any) -> None:
    address = compose["services"]["caddy"]["networks"]["front"]["ipv4_address"]
    assert all(each["environment"]["TRIBUTARY_TRUSTED_PROXIES"] == address for each in _ours(compose).values())


def test_what_compose_mounts_and_sets_exists(compose: Any) -> None:
    known = set(read_settings())
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else str(volume).split(":", 1)[0]
            if source.startswith("./") and source != "./backups":
                assert (DEPLOY / source).exists(), source
            elif not source.startswith("."):
                assert source in compose["volumes"], source
    for name, service in _ours(compose).items():
        for variable in service["environment"]:
            assert variable.removesuffix("_FILE") in known, (name, variable)


def test_caddy_sees_of_the_data_only_what_the_ledger_publishes(compose: Any) -> None:
    volumes = compose["services"]["caddy"]["volumes"]
    (ledger,) = [each for each in volumes if isinstance(each, dict)]
    assert (ledger["source"], ledger["volume"]["subpath"], ledger["read_only"]) == ("data", "ledger/1", True)
    assert f"root {ledger['target']}\n" in (DEPLOY / "Caddyfile").read_text()
    assert not [each for each in volumes if str(each).startswith("data:")]


# --- the proxies (tests/tidy/test_proxies.py runs them) ---


def test_caddyfile(tmp_path: Path) -> None:
    def check(path: Path) -> int:
        environment = {"TRIBUTARY_ORIGIN": "https://videos.example.org", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        arguments = ("validate", "--adapter", "caddyfile", "--config", path)
        return run("caddy", *arguments, package="apt-get install caddy", env=environment).returncode

    assert check(DEPLOY / "Caddyfile") == 0
    assert check(broken(DEPLOY / "Caddyfile", tmp_path / "Caddyfile", "file_server", "file_serverr")) != 0
    said = run("caddy", "fmt", DEPLOY / "Caddyfile", package="apt-get install caddy")
    assert said.stdout == (DEPLOY / "Caddyfile").read_text()


# --- systemd ---

UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir() if path.suffix in {".service", ".timer", ".target"})
SERVICES = [name for name in UNITS if name.endswith(".service")]


def _installed(folder: Path) -> Path:
    """The units as installed, but with this checkout in place of /opt/tributary, so that their programs exist."""
    folder.mkdir(exist_ok=True)
    for name in UNITS:
        (folder / name).write_text((DEPLOY / "systemd" / name).read_text().replace("/opt/tributary", str(ROOT)))
    return folder


def _verify(path: Path) -> str:
    # An unknown key is only a warning and leaves the status 0: whatever it says is a failure.
    said = run("systemd-analyze", "verify", path, package="apt-get install systemd")
    return said.stderr + (f"status {said.returncode}" if said.returncode else "")


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_understood(name: str, tmp_path: Path) -> None:
    assert _verify(_installed(tmp_path / "units") / name) == ""


@pytest.mark.parametrize(
    ("old", "new"), [("ProtectHome=yes", "ProtectHoem=yes"), ("/bin/gunicorn", "/bin/gunicorrn"), ("Type=notify", "Type=notifyy")]
)
def test_a_broken_unit_is_noticed(old: str, new: str, tmp_path: Path) -> None:
    path = _installed(tmp_path / "units") / "tributary-web.service"
    assert _verify(broken(path, path, old, new)) != ""


def _exposed(path: Path) -> int:
    arguments = ("security", "--offline=true", "--threshold=25", "--no-pager", path)
    return run("systemd-analyze", *arguments, package="apt-get install systemd").returncode


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_exposed_at_most_2_5(name: str) -> None:
    assert _exposed(DEPLOY / "systemd" / name) == 0


def test_an_exposed_service_is_noticed(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "tributary-web.service").read_text()
    soft = tmp_path / "tributary-web.service"
    soft.write_text(
        "\n".join(line for line in text.splitlines() if not re.match("(Protect|Private|Restrict|SystemCall|Capab)", line))
    )
    assert _exposed(soft) != 0


def test_units_work_every_queue_once_and_set_only_what_exists() -> None:
    texts = [(DEPLOY / "systemd" / name).read_text() for name in SERVICES]
    worked = [queue for text in texts for queues in re.findall(r"--queues (\S+)", text) for queue in queues.split(",")]
    assert sorted(worked) == sorted(QUEUES)
    known = set(read_settings())
    for text in texts:
        for variable in re.findall(r"(TRIBUTARY_\w+)=", text):
            assert variable.removesuffix("_FILE") in known, variable


def test_the_target_starts_every_service_that_stays() -> None:
    wanted = re.search(r"^Wants=(.*)$", (DEPLOY / "systemd" / "tributary.target").read_text(), re.MULTILINE)
    assert wanted is not None
    assert set(wanted[1].split()) == set(SERVICES) - {"tributary-migrate.service", "tributary-backup.service"}


@pytest.mark.parametrize(
    ("program", "name"), [("systemd-sysusers", "tributary.sysusers.conf"), ("systemd-tmpfiles", "tributary.tmpfiles.conf")]
)
def test_users_and_directories_are_understood(program: str, name: str, tmp_path: Path) -> None:
    """Applied to a root directory of its own."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\ntributary:x:900:900::/var/lib/tributary:/usr/sbin/nologin\n")
    (etc / "group").write_text("root:x:0:\ntributary:x:900:\nwww-data:x:33:\n")
    create = ["--create"] if program == "systemd-tmpfiles" else []
    root = f"--root={tmp_path}"
    source = DEPLOY / "systemd" / name
    said = run(program, *create, root, source, package="apt-get install systemd")
    assert (said.returncode, said.stderr) == (0, "")
    bad = tmp_path / name
    bad.write_text(source.read_text() + "\nnonsense line here\n")
    said = run(program, *create, root, bad, package="apt-get install systemd")
    assert said.returncode != 0 or said.stderr


# --- scripts ---

SCRIPTS = [*(DEPLOY / name for name in ("backup", "restore", "prepare", "as-service")), DEPLOY / "postgres" / "roles.sh"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shell_script(path: Path, tmp_path: Path) -> None:
    said = run("shellcheck", path, package=DEV)
    assert (said.returncode, said.stdout) == (0, "")
    assert path.stat().st_mode & 0o111
    bad = tmp_path / path.name
    bad.write_text(path.read_text() + "\nrm -rf $1/*\n")
    assert run("shellcheck", bad, package=DEV).returncode != 0


def test_prepare_makes_secrets_once(tmp_path: Path) -> None:
    (tmp_path / "env.example").write_text((DEPLOY / "env.example").read_text())

    def prepare(host: str) -> int:
        environment = {"TRIBUTARY_DEPLOY_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return run("bash", DEPLOY / "prepare", host, package="apt-get install bash", env=environment).returncode

    for wrong in ("https://videos.example.org", "videos.example.org/x", "", "Videos.Example", "../x", "-x"):
        assert prepare(wrong) != 0, wrong
    assert not (tmp_path / "secrets").exists()
    assert prepare("videos.example.org") == 0
    assert "\nTRIBUTARY_ORIGIN=https://videos.example.org\n" in (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert re.fullmatch("postgres://tributary_app:[0-9a-f]{48}@postgres:5432/tributary", first["database_url"])
    assert len(set(first.values())) == 3
    assert prepare("other.example.org") == 0
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == first
    assert "videos.example.org" in (tmp_path / ".env").read_text()


def test_programs_run_with_the_settings_of_the_services(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = (DEPLOY / "env.example").read_text().replace("https://videos.example.org", "https://other.example.org")
    special = "pa$$w`id`&rd;#x y"
    lines = [f"TRIBUTARY_DATA_DIR={tmp_path}/data", f'TRIBUTARY_INSTANCE_NAME="{special}"', f"TRIBUTARY_CONTACT_EMAIL={special}"]
    (tmp_path / "env").write_text(text + "\n".join(lines))
    (tmp_path / "database_url").write_text("postgres://tributary_app:secret@127.0.0.1:1/tributary\n")
    (tmp_path / "database_owner_url").write_text("postgres://tributary_owner:secret@127.0.0.1:1/tributary\n")
    variables = {"TRIBUTARY_ETC": str(tmp_path), "TRIBUTARY_USER": user, "PATH": "/usr/bin:/bin"}
    ask = (
        "from django.conf import settings as s; d = s.DATABASES['default']; "
        "print([s.ORIGIN, s.INSTANCE_NAME, s.CONTACT_EMAIL, d['USER'], d['NAME'], str(s.MEDIA_ROOT)])"
    )
    for options, role in (([], "tributary_app"), (["--owner"], "tributary_owner")):
        arguments = [*options, ".venv/bin/python", "manage.py", "shell", "--no-imports", "-c", ask]
        said = run("bash", DEPLOY / "as-service", *arguments, package="apt-get install bash", env=variables, cwd="/")
        expected = ["https://other.example.org", special, special, role, "tributary", "/srv/tributary/media"]
        assert said.stdout.strip() == repr(expected), said.stderr
    assert run("bash", DEPLOY / "as-service", package="apt-get install bash", env=variables).returncode == 2


# --- settings ---


def test_every_setting_is_explained_and_nothing_else() -> None:
    example = documented()
    assert set(example) == set(read_settings())
    for name, (sentence, _) in example.items():
        assert sentence.endswith("."), f"{name}: {sentence!r}"
        assert len(sentence) > 20, f"{name}: {sentence!r}"


def test_what_is_said_to_be_the_default_is_the_default() -> None:
    example, real = documented(), defaults()
    # Those that env.example sets, in place of showing the default.
    for name in real.keys() - {"TRIBUTARY_ORIGIN", "TRIBUTARY_TRUSTED_PROXIES"}:
        assert example[name][1] == real[name], name
    assert len(real) > 25


def test_the_reference_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert written == page(), "run: python -m tests.tidy.settings_table > docs/reference/settings.md"


def test_settings_read_the_environment_in_one_place() -> None:
    """Else a variable could be missing in env.example."""
    allowed = {"settings.py", "serve.py", "secrets.py", "celery.py", "wsgi.py", "metrics.py", "__main__.py", "databases.py"}
    for path in [*ROOT.glob("server/**/*.py"), *ROOT.glob("federation/**/*.py")]:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert "environ" not in names or path.name in allowed, path
