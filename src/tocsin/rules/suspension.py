"""Stopping a provider from handing out codes, and letting it go on (rows I16–I18).

A suspension takes nothing from anybody: cards in people's hands go on working. Cutting cards off is a revocation.
"""

from tocsin.ledger.predicates import is_suspended
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, ProviderRestored, ProviderSuspended
from tocsin.rules.attribution import Attribution


def suspend_provider(ledger: Ledger, provider: int, by: Attribution) -> Draft:
    """`provider` hands out nothing new from now on, or `Refused`. One person is enough to stop."""
    _check_known(ledger, provider)
    if is_suspended(ledger, provider):  # I17
        raise Refused("already_suspended", "This provider is suspended already.")
    return Draft(ProviderSuspended(provider=provider, **by.signed), (by.claim,))


def restore_provider(ledger: Ledger, provider: int, by: Attribution) -> Draft:
    """`provider` hands out codes again, or `Refused`."""
    _check_known(ledger, provider)
    if not is_suspended(ledger, provider):  # I18
        raise Refused("not_suspended", "This provider is not suspended.")
    return Draft(ProviderRestored(provider=provider, **by.signed), (by.claim,))


def _check_known(ledger: Ledger, provider: int) -> None:
    if provider not in ledger.providers:  # I16
        raise Refused("provider_unknown", "There is no such provider.")
