"""`tocsin.toml`: what is wrong is refused by the name of its field, and what founding writes is what was asked for."""

import json
import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from tocsin.model.errors import Invalid, Refused
from tocsin.model.policy import Policy, Rate, SignatureInfo
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.settings import Folders, Settings, load_settings, settings_text

REQUIRED = {
    "region": '"utopia"',
    "origin": '"tocsin.example/utopia"',
    "base_url": '"https://tocsin.example"',
}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def load(folders: Folders, text: str) -> Settings:
    folders.settings.write_text(text, encoding="utf-8")
    return load_settings(folders)


def with_field(name: str, value: str) -> str:
    lines = [f"{key} = {text}" for key, text in {**REQUIRED, name: value}.items()]
    return "\n".join(lines) + "\n"


def with_policy(name: str, value: str) -> str:
    return with_field("port", "1") + f"[policy]\n{name} = {value}\n"


def test_what_is_not_written_has_its_default(folders: Folders) -> None:
    settings = load(folders, with_field("port", "1"))
    assert settings == Settings(
        region="utopia", origin="tocsin.example/utopia", base_url="https://tocsin.example", port=1
    )
    assert settings.policy == Policy()


BAD_FIELDS = [
    *(("region", value) for value in ('""', '"Utopia"', '"a b"', '"ü"', f'"{"a" * 33}"', "7", '"a\\n"')),
    *(("origin", value) for value in ('""', '"Upper.example"', '"a b"', '"a/b/c/d/e"', '"-a"', "[]", '"a\\n"')),
    *(
        ("base_url", value)
        for value in (
            '""',
            '"tocsin.example"',
            '"ftp://tocsin.example"',
            '"https://"',
            '"https://tocsin.example/?a=b"',
            '"https://tocsin.example/#a"',
            '"https://tocsin .example"',
            '"https://tocsin.example/\\"a"',
            '"https://tocsin.example/\\\\a"',
            '"https://tocsin.example/\\u0001"',
            '"https://tocsin.example/\\u007f"',
            "true",
        )
    ),
    *(("host", value) for value in ('""', '"a b"', '"a\\"b"', '"a\\nb"', "1")),
    *(("port", value) for value in ("-1", "65536", '"8787"', "1.5", "99999999999999999999")),
    *(("makes_day_keys", value) for value in ("1", '"true"', "[]")),
    *(("trusted_proxies", value) for value in ("-1", "9", '"1"', "true", "1.5")),
    *(("connections_per_source", value) for value in ("0", "-1", '"512"', '"None"', "true", "[]")),
    *(("single_machine", value) for value in ("1", '"true"', "[]")),
    *(("policy", value) for value in ("1", "[]")),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_a_value_that_is_impossible_is_refused_by_name(folders: Folders, name: str, value: str) -> None:
    with pytest.raises(Invalid) as error:
        load(folders, with_field(name, value))
    assert name in str(error.value) and str(folders.settings) in str(error.value)


NUMBERS = {
    "useful_days": (["1", "14"], ["0", "15", "-1"]),
    "minimum_reports": (["1", "1000"], ["0", "-1"]),
    "longest_wait_seconds": (["0", "900"], ["-1"]),
    "hold_back_quarters": (["0", "255"], ["-1", "256"]),
    "step_seconds": (["900", "3600"], ["0", "899", "901", "-900"]),
    "dump_step_seconds": (["900"], ["0", "60"]),
    "delta_window_seconds": (["0", "86400"], ["-1"]),
    "gaen_step_seconds": (["900"], ["0", "7"]),
    "gaen_records_per_part": (["1"], ["0", "-5"]),
    "old_files_days": (["1", "366"], ["0", "367", "-1"]),
    "freshness_seconds": (["1800", "86400"], ["1799", "0", "-1"]),
    "maximum_batch_cards": (["1", "2048"], ["0", "2049"]),
    "card_life_quarters": (["1"], ["0", "-1"]),
    "phone_code_life_quarters": (["1", "16"], ["0", "17"]),
    "surge_factor": (["1", "50"], ["0", "-1"]),
    "surge_window_seconds": (["900", "86400"], ["0", "899"]),
    "self_report_keys": (["1", "30"], ["0", "31"]),
    "continuation_days": (["0", "14"], ["-1", "15"]),
    "contagious_days_before_onset": (["0", "14"], ["-1", "15"]),
    "contagious_days_before_test": (["0", "14"], ["-1", "15"]),
    "gaen_notice_days": (["1", "366"], ["0", "-1", "367"]),
}

QUOTAS = {
    "person_daily_cards",
    "provider_daily_cards",
    "person_daily_phone_codes",
    "provider_daily_phone_codes",
    "surge_reports",
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_edges_of_the_policy(folders: Folders, name: str) -> None:
    good, bad = NUMBERS[name]
    for value in good:
        assert getattr(load(folders, with_policy(name, value)).policy, name) == int(value)
    for value in [*bad, '"9"', "1.5", "true", "inf"]:
        with pytest.raises(Invalid) as error:
            load(folders, with_policy(name, value))
        assert name in str(error.value)


def test_every_field_of_the_policy_is_looked_at() -> None:
    others = {"dp3t_keys", "self_reports", "publish_onset", "gaen_signature_infos"}
    assert NUMBERS.keys() | QUOTAS | set(RATES) | others == set(Policy.__struct_fields__)


@pytest.mark.parametrize("name", sorted(QUOTAS))
def test_quotas(folders: Folders, name: str) -> None:
    for good in ("0", "1", "10000", '"none"'):
        read = load(folders, with_policy(name, good)).policy
        assert getattr(read, name) == ("none" if good == '"none"' else int(good))
    for bad in ("-1", "1.5", "true", '""', '"9"', '"None"', "inf", "[]"):
        with pytest.raises(Invalid, match=name):
            load(folders, with_policy(name, bad))


RATES = [name for name in Policy.__struct_fields__ if isinstance(getattr(Policy(), name), Rate)]


@pytest.mark.parametrize("name", RATES)
def test_rates(folders: Folders, name: str) -> None:
    for good in ("[1, 1]", "[43200, 1]", "[1, 43200]", "[20, 10]"):
        assert getattr(load(folders, with_policy(name, good)).policy, name) == Rate(*json.loads(good))
    for bad in (
        "[0, 1]",
        "[1, 0]",
        "[-1, 1]",
        "[43201, 1]",
        "[2, 21601]",
        "[1]",
        "[1, 1, 1]",
        "[1.5, 1]",
        '"20/10"',
        "20",
    ):
        with pytest.raises(Invalid, match=name):
            load(folders, with_policy(name, bad))


@pytest.mark.parametrize("name", ["dp3t_keys", "self_reports", "publish_onset"])
def test_truth_values(folders: Folders, name: str) -> None:
    assert getattr(load(folders, with_policy(name, "true")).policy, name) is True
    for value in ("1", '"yes"', "[true]"):
        with pytest.raises(Invalid, match=name):
            load(folders, with_policy(name, value))


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        '["310"]',
        '[["310"]]',
        '[["310", ""]]',
        '[["310", "v-1"]]',
        '[["3 0", "v1"]]',
        "1",
        "[" + '["1", "v"],' * 11 + "]",
    ],
)
def test_gaen_key_names(folders: Folders, value: str) -> None:
    """Case 1: nothing but the names of keys can be said; the algorithm can't."""
    with pytest.raises(Invalid, match="gaen_signature_infos"):
        load(folders, with_policy("gaen_signature_infos", value))
    infos = load(folders, with_policy("gaen_signature_infos", '[["310", "v2"], ["310", "v1"]]')).policy
    assert infos.gaen_signature_infos == (SignatureInfo("310", "v2"), SignatureInfo("310", "v1"))


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_required_field_that_is_missing(folders: Folders, missing: str) -> None:
    text = "\n".join(f"{name} = {value}" for name, value in REQUIRED.items() if name != missing)
    with pytest.raises(Invalid, match=missing):
        load(folders, text)


def test_unknown_names_are_refused_by_name(folders: Folders) -> None:
    with pytest.raises(Invalid, match=r"`policy\.minimum_report`"):
        load(folders, with_policy("minimum_report", "1"))
    with pytest.raises(Invalid, match="signature_algorithm"):
        load(folders, with_field("signature_algorithm", '"1.2.840.10045.4.3.3"'))


@pytest.mark.parametrize(
    "text",
    ["region", "region = ", "[policy", "a = 1\na = 2", f"port = {'9' * 5000}", f"a = {'[' * 5000}", "a = 2024-99-99"],
    ids=["a word", "no value", "half a table", "twice", "a long number", "deep", "no date"],
)
def test_what_is_no_toml(folders: Folders, text: str) -> None:
    with pytest.raises(Invalid, match=r"tocsin\.toml"):
        load(folders, text)


_NEEDED = "".join(f"{name} = {value}\n" for name, value in REQUIRED.items())
MISTAKES = {
    "empty": ("", ["`region` is missing"]),
    "only a comment": ("# later", ["`region` is missing"]),
    "missing": ('region = "a"', ["`origin` is missing", "no default"]),
    "unknown": (_NEEDED + "x = 1", ["`x` is no setting"]),
    "misspelt": (_NEEDED + "prot = 1", ["`prot` is no setting", "`port`"]),
    "misspelt below": (_NEEDED + "[policy]\nusefull_days = 3", ["`policy.usefull_days`", "`useful_days`"]),
    "misspelt table": (_NEEDED + "[polici]\nuseful_days = 3", ["`polici` is no setting", "`policy`"]),
    "text for a number": (_NEEDED + 'port = "8787"', ["`port`", "whole number", "without quotes"]),
    "unit for a number": (
        _NEEDED + '[policy]\nuseful_days = "14 d"',
        ["`policy.useful_days`", "without quotes or unit"],
    ),
    "fraction": (_NEEDED + "port = 1.5", ["`port`", "whole number"]),
    "day for a number": (_NEEDED + "port = 2026-01-01", ["`port`", "whole number"]),
    "truth for a number": (_NEEDED + "port = true", ["`port`", "whole number"]),
    "number for a truth": (_NEEDED + "single_machine = 1", ["`single_machine`", "true or false"]),
    "number for text": (_NEEDED + "host = 1", ["`host`", "text in quotes"]),
    "number for a table": (_NEEDED + "policy = 1", ["`policy`", "[policy]"]),
    "text for a quota": (_NEEDED + '[policy]\nperson_daily_cards = "9"', ["`policy.person_daily_cards`", "10000"]),
    "list of texts": (
        _NEEDED + '[policy]\ngaen_signature_infos = ["310"]',
        ["gaen_signature_infos", '[["310", "v1"]]'],
    ),
    "out of range": (_NEEDED + "port = 65536", ["port must be from 0 to 65535"]),
    "out of range below": (_NEEDED + "[policy]\nuseful_days = 15", ["policy.useful_days must be from 1 to 14"]),
    "two that disagree": (_NEEDED + "[policy]\nfreshness_seconds = 900", ["policy.freshness_seconds", "two steps"]),
    "no value": (_NEEDED + "port =\n", ["not TOML", "line 4"]),
    "no quotes": ("region = utopia", ["not TOML", "line 1"]),
    "twice": (_NEEDED + 'region = "b"', ["not TOML"]),
    "table twice": (_NEEDED + "[policy]\n[policy]", ["not TOML", "line 5"]),
    "long number": (_NEEDED + f"port = {'9' * 5000}", ["not TOML", "too long"]),
    "deep": (f"a = {'[' * 5000}", ["not TOML"]),
    "NUL": ("\0", ["not TOML"]),
}
_WORDS_OF_LIBRARIES = ("Object", "Expected", "$", "`int`", "`str`", "Traceback", "tomllib")


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_names_file_setting_and_what_is_expected(folders: Folders, text: str, words: list[str]) -> None:
    with pytest.raises(Invalid) as error:
        load(folders, text)
    sentence = str(error.value)
    assert sentence.startswith(str(folders.settings))
    assert all(word in sentence for word in words)
    assert not any(word in sentence for word in _WORDS_OF_LIBRARIES)


@pytest.mark.parametrize("name", [*Settings.__struct_fields__, *Policy.__struct_fields__])
def test_no_value_is_repeated(folders: Folders, name: str) -> None:
    """A password that was pasted into the wrong line reaches no log."""
    of_policy = name in Policy.__struct_fields__
    lines = {**REQUIRED, **({} if of_policy else {name: '"s3cret PASTED"'})}
    text = "".join(f"{key} = {value}\n" for key, value in lines.items())
    with pytest.raises(Invalid) as error:
        load(folders, text + (f'[policy]\n{name} = "s3cret PASTED"\n' if of_policy else ""))
    assert name in str(error.value)
    assert "PASTED" not in str(error.value)


def test_bytes_that_are_no_text(folders: Folders) -> None:
    folders.settings.write_bytes(b"region = '\xff'")
    with pytest.raises(Invalid, match="UTF-8"):
        load_settings(folders)
    folders.settings.unlink()
    folders.settings.mkdir()
    with pytest.raises(Invalid, match="can't be read: Is a directory"):
        load_settings(folders)


def test_a_byte_order_mark_does_no_harm(folders: Folders) -> None:
    assert load(folders, "\ufeff" + _NEEDED).region == "utopia"


def test_a_file_is_no_deployment(folders: Folders) -> None:
    folders.settings.touch()
    with pytest.raises(Refused, match="no folder") as refusal:
        load_settings(Folders(folders.settings))
    assert refusal.value.code == "no_deployment"


def test_no_settings_are_no_deployment(folders: Folders) -> None:
    with pytest.raises(Refused, match=r"TOCSIN_DATA.*tocsin init") as refusal:
        load_settings(folders)
    assert refusal.value.code == "no_deployment"


QUARTERS = st.integers(1, 100).map(lambda quarters: 900 * quarters)
POLICIES = st.builds(
    Policy,
    useful_days=st.integers(1, 14),
    minimum_reports=st.integers(1, 50),
    longest_wait_seconds=st.integers(0, 10**6),
    hold_back_quarters=st.integers(0, 255),
    step_seconds=QUARTERS,
    dump_step_seconds=QUARTERS,
    delta_window_seconds=st.integers(0, 10**6),
    gaen_step_seconds=QUARTERS,
    gaen_records_per_part=st.integers(1, 10**6),
    old_files_days=st.integers(1, 366),
    freshness_seconds=st.integers(200 * 900, 10**6),
    self_reports=st.booleans(),
    publish_onset=st.booleans(),
    maximum_batch_cards=st.integers(1, 2048),
    card_life_quarters=st.integers(1, 10**5),
    person_daily_cards=st.integers(0, 10**6) | st.just("none"),
    provider_daily_cards=st.integers(0, 10**6) | st.just("none"),
    phone_code_life_quarters=st.integers(1, 16),
    person_daily_phone_codes=st.integers(0, 10**6) | st.just("none"),
    provider_daily_phone_codes=st.integers(0, 10**6) | st.just("none"),
    surge_reports=st.integers(0, 10**6) | st.just("none"),
    surge_factor=st.integers(1, 100),
    surge_window_seconds=QUARTERS,
    gaen_notice_days=st.integers(1, 366),
    gaen_signature_infos=st.lists(
        st.builds(SignatureInfo, st.from_regex(r"[A-Za-z0-9_]{1,32}", fullmatch=True), st.sampled_from(["v1", "v2"])),
        min_size=1,
        max_size=10,
    ).map(tuple),
)
JOURNALS = st.just(JournalChoice()) | st.builds(
    JournalChoice,
    engine=st.just("postgresql"),
    url=st.from_regex(
        r"postgres(ql)?://[a-z]{1,9}@[a-z0-9.:,]{1,30}/[a-z]{1,9}(\?sslmode=[a-z-]{1,9})?", fullmatch=True
    ),
)
SETTINGS = st.builds(
    Settings,
    region=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
    origin=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}(/[a-z0-9._-]{1,20}){0,3}", fullmatch=True),
    base_url=st.from_regex(r"https?://[!$-.0-9:;=@-\[\]-~]{1,30}(/[!$->@-\[\]-~]*)?", fullmatch=True),
    host=st.sampled_from(["127.0.0.1", "::", "fe80::1%eth0", "localhost"]),
    port=st.integers(0, 65_535),
    single_machine=st.booleans(),
    makes_day_keys=st.booleans(),
    trusted_proxies=st.integers(0, 8),
    connections_per_source=st.integers(1, 10**6) | st.just("none"),
    journal=JOURNALS,
    policy=POLICIES,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETTINGS)
def test_what_is_written_is_what_was_asked_for(folders: Folders, settings: Settings) -> None:
    assert load(folders, settings_text(settings)) == settings


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('engine = "mysql"', "`journal.engine`"),
        ('engine = "postgresql"', "journal.url must be an address of PostgreSQL"),
        ('engine = "postgresql"\nurl = "http://db/x"', "journal.url must be an address of PostgreSQL"),
        ('engine = "postgresql"\nurl = "postgresql://a b@db/x"', "journal.url must be an address of PostgreSQL"),
        ('url = "postgresql://u@db/x"', "journal.url is for engine"),
        ('engine = "postgresql"\nurl = "postgresql://u:hunter2@db/x"', "must not hold a password"),
        ('engine = "postgresql"\nurl = "postgresql://db/x?user=u&password=hunter2"', "must not hold a password"),
        ('engine = "postgresql"\nurl = "postgresql://db/x?sslpassword=hunter2"', "must not hold a password"),
    ],
)
def test_a_journal_that_can_not_be_meant_is_refused(folders: Folders, table: str, complaint: str) -> None:
    with pytest.raises(Invalid, match=re.escape(complaint)) as refusal:
        load(folders, with_field("port", "1") + f"[journal]\n{table}\n")
    assert "hunter2" not in str(refusal.value)
