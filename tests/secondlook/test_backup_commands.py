"""`secondlook backup` and `restore` without a classifier: what they keep, refuse and say."""

import contextlib
import gzip
import io
import json
import os
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from classifier_svc.schema import MIGRATIONS
from secondlook import versions
from secondlook.adapters import ownership
from secondlook.cli import main
from secondlook.errors import EXIT_CONFIG, EXIT_VERSION

CONFIG = """\
# My own remarks stay.
cameras:
  yard: {source: !env SECONDLOOK_TEST_CAMERA, password: !file secret}
mqtt: {password: !env SECONDLOOK_TEST_NOWHERE, username: me}
"""


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def installation(folder: Path, config: str = CONFIG, *, version: int = versions.DATABASE) -> Path:
    """Make a folder with a configuration and a database, as a classifier leaves them."""
    (folder / "data").mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    with contextlib.closing(sqlite3.connect(folder / "data/secondlook.sqlite3")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(";".join(MIGRATIONS))
        db.execute(f"PRAGMA user_version={version}")
        db.execute("INSERT INTO heartbeat VALUES (1, 42)")
        db.commit()
    return folder


def heartbeat(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        [number] = db.execute("SELECT at_ns FROM heartbeat").fetchone()
    return int(number)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = installation(tmp_path / "home")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SECONDLOOK_TEST_CAMERA", raising=False)
    return folder


@pytest.fixture
def backup(home: Path, tmp_path: Path) -> Path:
    file = tmp_path / "backup.tar.gz"
    result = call("backup", file)
    assert result.exit_code == 0, result.output
    return file


def parts(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]


def repacked(file: Path, changes: dict[str, bytes]) -> Path:
    """Write another backup with other parts."""
    other = file.with_name("other.tar.gz")
    with tarfile.open(other, "w:gz") as tar:
        for name, content in (parts(file) | changes).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return other


def test_the_migrations_lead_to_the_version_that_backups_are_checked_against() -> None:
    assert versions.DATABASE_OLDEST + len(MIGRATIONS) - 1 == versions.DATABASE


def test_a_backup_holds_the_text_of_the_configuration_and_no_secret(backup: Path) -> None:
    found = parts(backup)
    assert list(found) == ["backup.json", "config.yaml", "database.sqlite3"]
    assert found["config.yaml"].decode() == CONFIG
    about = json.loads(found["backup.json"])
    assert (about["backup"], about["database"]) == (versions.BACKUP, versions.DATABASE)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in backup.parent.iterdir() if path.name.startswith(".")] == []


def test_a_secret_of_the_environment_is_not_in_it_although_it_is_set(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_TEST_CAMERA", "rtsp://u:hunter2@h/x")
    (home / "secret").write_text("hunter2")
    result = call("backup", tmp_path / "b")
    assert result.exit_code == 0
    assert b"hunter2" not in b"".join(parts(tmp_path / "b").values())
    assert "password as it is" not in result.stderr


def test_what_the_environment_sets_is_where_it_looks_and_no_secret_of_the_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data").rename(home / "elsewhere")
    monkeypatch.setenv("SECONDLOOK__CLASSIFIER__DATABASE", "elsewhere/secondlook.sqlite3")
    monkeypatch.setenv("SECONDLOOK__MQTT__PASSWORD", "hunter2")
    result = call("backup", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "password as it is" not in result.stderr
    assert b"hunter2" not in b"".join(parts(tmp_path / "b").values())


def test_passwords_that_stand_in_the_configuration_are_warned_of(tmp_path: Path) -> None:
    folder = installation(tmp_path / "x", "mqtt: {password: hunter2}\n")
    result = call("backup", tmp_path / "b", "--config", folder / "config.yaml")
    assert result.exit_code == 0
    assert "mqtt.password" in result.stderr
    assert "hunter2" not in result.output


def test_the_review_set_is_saved_on_request_and_put_back(home: Path, tmp_path: Path) -> None:
    crop = home / "data/review/phone/yard-20261122T06__a.jpg"
    crop.parent.mkdir(parents=True)
    crop.write_bytes(b"picture")
    os.utime(crop, (1000, 1000))
    (crop.parent / "..hidden").write_text("not ours")
    assert "1 files of the review set" in call("backup", "--review", tmp_path / "b").output

    result = call("restore", tmp_path / "b", "--config", tmp_path / "new/config.yaml")

    assert result.exit_code == 0, result.output
    again = tmp_path / "new/data/review/phone/yard-20261122T06__a.jpg"
    assert (again.read_bytes(), again.stat().st_mtime) == (b"picture", 1000)
    assert len(list((tmp_path / "new/data/review").rglob("*.*"))) == 1


def test_what_is_restored_is_what_was_saved(backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "new/etc/config.yaml"

    result = call("restore", backup, "--config", target)

    assert result.exit_code == 0, result.output
    assert target.read_text() == CONFIG
    database = target.parent / "data/secondlook.sqlite3"
    assert heartbeat(database) == 42
    assert database.stat().st_mode & 0o777 == 0o600
    assert target.stat().st_mode & 0o777 == 0o600
    assert str(database) in result.output


def test_nothing_is_replaced_without_force_and_all_that_is_there_is_named(
    backup: Path, home: Path
) -> None:
    (home / "config.yaml").write_text("cameras: {other: {source: 'synthetic:'}}\n")
    with contextlib.closing(sqlite3.connect(home / "data/secondlook.sqlite3")) as db:
        db.execute("UPDATE heartbeat SET at_ns = 43")
        db.commit()

    refused = call("restore", backup)

    assert refused.exit_code == 1
    assert "config.yaml" in refused.stderr
    assert "secondlook.sqlite3" in refused.stderr
    assert "other" in (home / "config.yaml").read_text()
    assert heartbeat(home / "data/secondlook.sqlite3") == 43

    assert call("restore", backup, "--force").exit_code == 0
    assert (home / "config.yaml").read_text() == CONFIG
    assert heartbeat(home / "data/secondlook.sqlite3") == 42


def test_a_log_of_the_replaced_database_is_not_applied_to_the_new_one(
    backup: Path, home: Path
) -> None:
    path = home / "data/secondlook.sqlite3"
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("UPDATE heartbeat SET at_ns = 43")
    db.commit()
    shutil.copy(f"{path}-wal", home / "wal")
    db.close()
    shutil.move(home / "wal", f"{path}-wal")

    assert call("restore", backup, "--force").exit_code == 0
    assert heartbeat(path) == 42


def test_the_configuration_that_is_there_can_be_kept(backup: Path, home: Path) -> None:
    (home / "config.yaml").write_text("classifier: {database: /nowhere/x}\n")
    (home / "config.yaml").write_text(f"classifier: {{database: {home}/elsewhere/db}}\n")

    result = call("restore", backup, "--keep-config")

    assert result.exit_code == 0, result.output
    assert "elsewhere" in (home / "config.yaml").read_text()
    assert heartbeat(home / "elsewhere/db") == 42


def test_a_configuration_that_is_replaced_keeps_its_mode(backup: Path, home: Path) -> None:
    (home / "config.yaml").write_text("cameras: {}\n")
    (home / "config.yaml").chmod(0o640)
    assert call("restore", backup, "--force").exit_code == 0
    assert (home / "config.yaml").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_owner_of_its_folder(
    backup: Path, tmp_path: Path
) -> None:
    data = tmp_path / "new/data"
    data.mkdir(parents=True)
    os.chown(data, 1234, 1235)
    assert call("restore", backup, "--config", tmp_path / "new/config.yaml").exit_code == 0
    assert {(path.stat().st_uid, path.stat().st_gid) for path in data.iterdir()} == {(1234, 1235)}


def test_restore_is_refused_while_a_process_holds_the_database(backup: Path, home: Path) -> None:
    held = ownership.lock(home / "data/secondlook.sqlite3.lock")
    try:
        result = call("restore", backup, "--force")
    finally:
        os.close(held)
    assert result.exit_code == 1
    assert "a classifier is at work" in result.stderr
    assert "stop it first" in result.stderr


def test_a_backup_of_a_newer_version_is_refused_with_a_status_of_its_own(backup: Path) -> None:
    about = json.loads(parts(backup)["backup.json"]) | {"database": 99, "program": "9.0.0"}
    other = repacked(backup, {"backup.json": json.dumps(about).encode()})
    result = call("restore", other, "--force")
    assert result.exit_code == EXIT_VERSION
    assert "made by Second Look 9.0.0, which is newer" in result.stderr


def test_a_damaged_backup_changes_nothing(backup: Path, home: Path) -> None:
    whole = backup.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 0xFF
    for number, broken in enumerate((whole[:-100], whole[: len(whole) // 2], bytes(content))):
        file = backup.with_name(f"broken-{number}")
        file.write_bytes(broken)
        result = call("restore", file, "--force")
        assert result.exit_code == 1, number
        assert "damaged" in result.stderr
        assert "Traceback" not in result.output
    assert heartbeat(home / "data/secondlook.sqlite3") == 42


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "review/../../evil.jpg", "review/phone/x.sh", "review/x.jpg", "more"],
)
def test_a_part_that_no_backup_has_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    other = repacked(backup, {name: b"x"})
    result = call("restore", other, "--config", tmp_path / "new/config.yaml")
    assert result.exit_code == 1
    assert "no backup of ours" in result.stderr
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_what_is_no_backup_is_refused_with_a_sentence(tmp_path: Path, home: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with gzip.open(tmp_path / "packed", "wb") as file:
        file.write(b"hello" * 1000)
    with tarfile.open(tmp_path / "empty", "w:gz"):
        pass
    for name in ("text", "packed", "empty"):
        result = call("restore", tmp_path / name, "--force")
        assert result.exit_code == 1, name
        assert "no backup of Second Look" in result.stderr


def test_a_backup_does_not_replace_a_file_unless_told_to(backup: Path) -> None:
    before = backup.read_bytes()
    refused = call("backup", backup)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert backup.read_bytes() == before
    assert call("backup", "--force", backup).exit_code == 0


def test_without_a_database_it_says_what_may_be_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    result = call("backup", tmp_path / "b", "--config", tmp_path / "config.yaml")
    assert result.exit_code == 1
    assert "there is no database at" in result.stderr
    assert not (tmp_path / "b").exists()


def test_without_a_configuration_it_says_so(tmp_path: Path) -> None:
    result = call("backup", tmp_path / "b", "--config", tmp_path / "none.yaml")
    assert result.exit_code == EXIT_CONFIG
    assert "none.yaml cannot be read" in result.stderr


def test_a_folder_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    result = call("backup", tmp_path / "none" / "b")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr
    assert "Traceback" not in result.output


def test_a_database_of_a_newer_version_is_not_backed_up_by_an_older_one(tmp_path: Path) -> None:
    folder = installation(tmp_path / "x", version=99)
    result = call("backup", tmp_path / "b", "--config", folder / "config.yaml")
    assert result.exit_code == 1
    assert "back it up with the version that made it" in result.stderr
    assert not (tmp_path / "b").exists()
