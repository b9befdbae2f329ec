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
    assert done.code == 1 and "none of the keys" in done.err


def test_a_file_that_is_none_does_not_hide_the_others(run: Run, ours: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.zip"
    junk.write_bytes(b"PK junk")
    done = run("export", "inspect", str(junk), str(ours), "--json")
    assert done.code == 1 and str(junk) in done.err
    assert [told["file"] for told in done.json] == [str(ours)]
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
