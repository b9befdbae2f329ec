"""Policy: every number that a deployment may set, each with its unit. The rules take it as an argument."""

import re
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import astuple

from tocsin.model.times import DAY_SECONDS, KEPT_DAYS, QUARTER_SECONDS

KEY_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
"""What ids and versions of GAEN keys are made of (google/exposure-notifications-server)."""

MOST_USEFUL_DAYS: Final = KEPT_DAYS - 2
"""Longer, and a key would still be public when its report is erased; its day may be the one after the report's."""

MOST_NOTICE_DAYS: Final = 366
"""A key that is announced for longer is a slip of the pen."""

MOST_PHONE_CODE_QUARTERS: Final = 16
"""A code that is read out on the telephone is used soon; the longer it lives, the more a guess may hit."""

_LEAST: Final = {
    "minimum_reports": 1,
    "longest_wait_seconds": 0,
    "delta_window_seconds": 0,
    "gaen_records_per_part": 1,
    "card_life_quarters": 1,
    "surge_factor": 1,
}

_SPANS: Final = {
    "self_report_keys": (1, 30),
    "old_files_days": (1, MOST_NOTICE_DAYS),
    "continuation_days": (0, MOST_USEFUL_DAYS),
    "contagious_days_before_onset": (0, MOST_USEFUL_DAYS),
    "contagious_days_before_test": (0, MOST_USEFUL_DAYS),
}

_RATES: Final = (
    "guesses_per_source",
    "first_guesses_per_network",
    "guesses_in_all",
    "self_reports_per_source",
    "first_self_reports_per_network",
    "self_reports_in_all",
)
LONGEST_REFILL_SECONDS: Final = DAY_SECONDS // 2
"""After this nothing of a source is left to be remembered: half of the day for which a keyed hash may be kept."""

SurgeReports = int | Literal["none"]
"""Reports that are no surge yet; ``none``: no quarantine begins by itself."""
DailyCodes = int | Literal["none"]
"""A quota in codes a UTC day; ``none`` is no limit, for TOML has no null."""


class Rate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How often something may be done: `at_once` times, and once more each `refill_seconds` since."""

    at_once: int
    refill_seconds: int


class SignatureInfo(Struct, frozen=True, array_like=True):
    """How phones find the public key of a GAEN export: ``verification_key_id`` and ``verification_key_version``."""

    verification_key_id: str
    verification_key_version: str


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment decides. Defaults are those of the design."""

    useful_days: int = 14
    """UTC days for which a key is of use, counted from the day of its last interval."""
    minimum_reports: int = 3
    """Distinct reports that must wait before additions are published."""
    longest_wait_seconds: int = 4 * 3600
    """After this wait (from the oldest release instant) additions go out whatever their number."""
    hold_back_quarters: int = 4
    """A part's random hold-back is drawn from 0 to this many quarter-hours, both ends included."""
    step_seconds: int = QUARTER_SECONDS
    """Time between versions; a multiple of the quarter-hour."""
    dump_step_seconds: int = 4 * 3600
    """A keyset dump is made at the first version of each such span."""
    delta_window_seconds: int = DAY_SECONDS
    """The newest delta reaches back at least this long."""
    gaen_step_seconds: int = 4 * 3600
    """GAEN files are made at the first version of each such span; phones limit how many files they take a day."""
    gaen_records_per_part: int = 500_000
    """Most keys in one GAEN file; more are split, never dropped."""
    freshness_seconds: int = DAY_SECONDS
    """A head older than this is stale: phones refuse it and keep what they have."""
    old_files_days: int = 1
    """For how many days more a public file stays that no head names any more which phones would believe."""
    dp3t_keys: bool = False
    """Whether DP-3T day keys are taken, beside GAEN keys. Phones of 0.1.0 refuse a set that holds one: off."""
    self_reports: bool = False
    """Whether reports without a code are taken."""
    self_report_keys: int = 15
    """Most keys of a person for whom no code vouches: those of the days that a phone keeps, and of today."""
    continuation_days: int = 2
    """UTC days after that of the first report in which it can be continued: the key of that day is there on the next
    one, and a phone may be off for a day."""
    contagious_days_before_onset: int = 2
    """UTC days before the onset of symptoms from which keys are taken."""
    contagious_days_before_test: int = 2
    """UTC days before the test from which keys are taken, of people without symptoms."""
    publish_onset: bool = False
    """Whether `days_since_onset` is published. It puts one person's onset date on every key of theirs: off."""
    maximum_batch_cards: int = 2048
    """Most cards in one code batch; serials have 11 bits."""
    card_life_quarters: int = 90 * 96
    """How long a card batch is valid unless stated otherwise, in quarter-hours."""
    person_daily_cards: DailyCodes = 10_000
    """Most cards that one person issues in a UTC day unless a second one approves; ``none``: no limit."""
    provider_daily_cards: DailyCodes = 5_000
    """Most cards that one provider is given in a UTC day unless a second person approves; ``none``: no limit."""
    phone_code_life_quarters: int = 4
    """For how long a phone code is valid at least unless stated otherwise, in quarter-hours."""
    person_daily_phone_codes: DailyCodes = 1_000
    """Most phone codes that one person issues in a UTC day unless a second one approves; ``none``: no limit."""
    provider_daily_phone_codes: DailyCodes = 5_000
    """Most phone codes that one provider is given in a UTC day unless a second person approves; ``none``: no limit."""
    guesses_per_source: Rate = Rate(20, 10)
    """Wrong phone codes from one address."""
    first_guesses_per_network: Rate = Rate(5, 3600)
    """Of these, the first few from one network are not counted among all."""
    guesses_in_all: Rate = Rate(1000, 1)
    """Wrong phone codes from all addresses together, those first few aside."""
    self_reports_per_source: Rate = Rate(5, 3600)
    """Reports without a code from one address."""
    first_self_reports_per_network: Rate = Rate(2, 21_600)
    """Of these, the first few from one network are not counted among all."""
    self_reports_in_all: Rate = Rate(1000, 10)
    """Reports without a code from all addresses together, those first few aside."""
    surge_reports: SurgeReports = 200
    """So many reports of one provider within a surge's window are never taken for a surge; ``none``: nothing is."""
    surge_factor: int = 10
    """Nor are they up to so many times the provider's own mean of the week before."""
    surge_window_seconds: int = 4 * 3600
    """The span in which a surge is looked for; a multiple of the quarter-hour."""
    gaen_signature_infos: tuple[SignatureInfo, ...] = (SignatureInfo("310", "v1"),)
    """The signatures on GAEN files, newest key first; one that is announced signs from its instant on."""
    gaen_notice_days: int = 7
    """How long before it signs a new GAEN key is announced at least."""

    def __post_init__(self) -> None:
        for name in ("step_seconds", "dump_step_seconds", "gaen_step_seconds", "surge_window_seconds"):
            seconds = getattr(self, name)
            if seconds <= 0 or seconds % QUARTER_SECONDS:
                raise ValueError(f"{name} must be a multiple of {QUARTER_SECONDS} seconds")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        quotas = [f"{whose}_daily_{codes}" for whose in ("person", "provider") for codes in ("cards", "phone_codes")]
        for name in (*quotas, "surge_reports"):
            quota = getattr(self, name)
            if isinstance(quota, int) and quota < 0:
                raise ValueError(f'{name} must be at least 0, or "none"')
        if self.freshness_seconds < 2 * self.step_seconds:
            raise ValueError("freshness_seconds must be at least two steps")
        if not 1 <= self.useful_days <= MOST_USEFUL_DAYS:
            raise ValueError(f"useful_days must be from 1 to {MOST_USEFUL_DAYS}")
        if not 1 <= self.phone_code_life_quarters <= MOST_PHONE_CODE_QUARTERS:
            raise ValueError(f"phone_code_life_quarters must be from 1 to {MOST_PHONE_CODE_QUARTERS}")
        if not 0 <= self.hold_back_quarters <= 255:
            raise ValueError("hold_back_quarters must be from 0 to 255")
        if not 1 <= self.gaen_notice_days <= MOST_NOTICE_DAYS:
            raise ValueError(f"gaen_notice_days must be from 1 to {MOST_NOTICE_DAYS}")
        if not 1 <= self.maximum_batch_cards <= 2048:
            raise ValueError("maximum_batch_cards must be from 1 to 2048")
        for name, (least, most) in _SPANS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least} to {most}")
        for name in _RATES:
            _check_rate(name, getattr(self, name))
        if not 1 <= len(self.gaen_signature_infos) <= 10:
            raise ValueError("gaen_signature_infos must name 1 to 10 keys")
        if not all(KEY_NAME.fullmatch(part) for info in self.gaen_signature_infos for part in astuple(info)):
            raise ValueError("gaen_signature_infos: ids and versions are 1 to 32 of A-Z, a-z, 0-9 and _")


def _check_rate(name: str, rate: Rate) -> None:
    if rate.at_once < 1 or rate.refill_seconds < 1 or rate.at_once * rate.refill_seconds > LONGEST_REFILL_SECONDS:
        raise ValueError(
            f"{name} must be [how often at once, seconds until once more], both at least 1,"
            f" and {LONGEST_REFILL_SECONDS} at most when multiplied"
        )
