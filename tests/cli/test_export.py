"""`tocsin export inspect`, on files of ours and of others."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.key_folder import public_pem


@pytest.fixture
def ours(site: Site, clock: FixedClock) -> Path:
    """The GAEN dump of a version with three keys."""
    site.report("one", 0, days=3)
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    files = (site.deployment.folders.bucket / "v1" / "utopia" / "gaen").iterdir()
    return next(path for path in files if path.read_bytes().startswith(b"PK"))


def test_our_own_export_verifies_by_our_key(run: Run, site: Site, ours: Path, tmp_path: Path) -> None:
    pem = tmp_path / "ours.pem"
    pem.write_text(public_pem(next(iter(site.deployment.keys.gaen_keys().values()))))
    done = run("export", "inspect", str(ours), "--key", str(pem))
    assert done.code == 0 and "good, by" in done.words and "ours.pem" in done.words
    [told] = run("export", "inspect", str(ours), "--key", str(pem), "--json").json
    assert told["export"]["keys"]["count"] == 3 and told["export"]["signatures"][0]["verified_by"] == [str(pem)]
    assert told["export"]["export_bin_sha256"] == ours.name


def test_a_key_that_did_not_sign_is_exit_code_1(run: Run, ours: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = tmp_path / "other.pem"
    pem.write_text(public_pem(ec.generate_private_key(ec.SECP256R1())))
    done = run("export", "inspect", str(ours), "--key", str(pem))
    assert done.code == 1 and "none of the keys given; it names 310 v1" in done.err  # case 3
    pem.write_text("not a key")
    done = run("export", "inspect", str(ours), "--key", str(pem))
    assert done.code == 1 and str(pem) in done.err and "not a public key" in done.err


def test_a_file_that_is_none_does_not_hide_the_others(run: Run, ours: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.zip"
    junk.write_bytes(b"PK junk")
    done = run("export", "inspect", str(junk), str(ours), "--json")
    assert done.code == 1 and str(junk) in done.err
    refused, told = done.json
    assert (refused["file"], refused["export"], refused["reason"]) == (str(junk), None, "no_zip")
    assert refused["trouble"] in done.err
    assert (told["file"], told["reason"], told["trouble"]) == (str(ours), None, None)
    assert run("export", "inspect", str(tmp_path / "absent.zip")).code == 1
    assert run("export", "inspect").code == 2


def test_a_real_export_of_another_country(run: Run, shared: Path) -> None:
    """24,131 keys, of the German server."""
    files = sorted((shared / "data" / "gaen").glob("*.zip"), key=lambda path: path.stat().st_size)
    if not files:
        pytest.skip("no recorded export")
    [told] = run("export", "inspect", str(files[-1]), "--json").json
    assert told["export"]["keys"]["count"] > 0
    words = run("export", "inspect", str(files[-1])).words
    assert f"keys {told['export']['keys']['count']:,}" in words and "not checked" in words


def test_every_file_of_others_is_told_of(run: Run, shared: Path) -> None:
    """All at once, to a program and to a person: what is sound is described, the rest has its reason."""
    files = sorted(path for path in (shared / "data").rglob("*") if path.suffix in (".zip", ".bin"))
    keys = [word for path in (shared / "data" / "keys").iterdir() for word in ("--key", str(path))]
    words = [str(path) for path in files if "efgs" not in path.parts]
    done = run("export", "inspect", *words, *keys, "--json")
    assert done.code == 1 and [told["file"] for told in done.json] == words
    assert sum(told["export"] is not None for told in done.json) == 34
    assert sum(told["export"] is not None and told["trouble"] is None for told in done.json) == 29
    assert all((told["export"] is None) == (told["reason"] is not None) for told in done.json)
    spoken = run("export", "inspect", *words, *keys)
    assert all(f"{told['file']}: {told['trouble']}" in spoken.err for told in done.json if told["trouble"])
    assert spoken.err.count("\n") == sum(told["trouble"] is not None for told in done.json)


def test_numbers_of_others_may_be_of_any_size(run: Run, tmp_path: Path) -> None:
    """A start in the year 42,800 is described, a file of no end is not read to its end."""
    path = tmp_path / "export.bin"
    key = bytes.fromhex("0a10") + bytes(16) + bytes.fromhex("18ffffffff07")
    path.write_bytes(b"EK Export v1    " + bytes([0x3A, len(key)]) + key)
    done = run("export", "inspect", str(path))
    assert done.code == 0 and "second 1288490188200" in done.words
    [told] = run("export", "inspect", "/dev/zero", "--json").json
    assert told["reason"] == "file_size"
