"""The monitor: how far an account has drifted from what it was told to be. Pure; part of the engine.

Rules of this room:
1. It looks only when it is told that a look is due: when exchanges are open is not known here.
2. What it finds is a `DriftChecked`, durable before anybody is told; each level is told once a session, a
   warning not after the critical, and that a request was made is told always.
3. It never trades. Beyond the critical drift it submits the standing targets again, as a strategy would,
   under an id made of account and session, so that one session makes one request.
4. Losses worth taking are told once a week, where the account wants it; they are never taken by themselves.
5. Nothing is submitted for an account that is halted, works on a request, or whose targets were cancelled.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import numpy as np

from gateway.decision.drift import NOISE, Survey, survey
from gateway.decision.harvesting import losses_worth_taking
from gateway.decision.market import UNKNOWN, Market
from gateway.domain.settings import Monitoring, Settings
from gateway.domain.standing import DriftLevel, Standing
from gateway.events import (
    Alert,
    CheckDue,
    DriftChecked,
    Effect,
    LossesFound,
    Mode,
    Publish,
    Record,
    TargetsSubmitted,
)
from gateway.oms.standing import PREFIX, told_in
from gateway.oms.state import State
from gateway.outlook import Outlook

LONGEST_ACCOUNT = 47
"""An account's name longer than this is shortened in a request's id, which holds 64 characters."""

_SEVERITY = {DriftLevel.UNKNOWN: "warning", DriftLevel.WARNING: "warning", DriftLevel.CRITICAL: "critical"}
_CODE = {
    DriftLevel.UNKNOWN: "DriftUnknown",
    DriftLevel.WARNING: "DriftWarning",
    DriftLevel.CRITICAL: "DriftCritical",
}


class Monitor:
    """Watch the accounts of one household; methods return effects and change nothing."""

    def __init__(self, settings: Settings, state: State, market: Market = UNKNOWN) -> None:
        self.settings = settings
        self.state = state
        self._outlook = Outlook(settings, state, market)

    def see(self, market: Market) -> None:
        """Look at another market from now on."""
        self._outlook.market = market

    def react(self, event: CheckDue | DriftChecked | LossesFound) -> list[Effect]:
        """Look when a look is due, and tell what was found once it is durable."""
        if isinstance(event, CheckDue):
            return [*self.check(event), *self.losses(event)]
        if isinstance(event, LossesFound):
            return [Publish(event), Alert("info", "LossesFound", event.text, event.account)]
        return [Publish(event), *self.tell(event)]

    def losses(self, event: CheckDue) -> list[Effect]:
        """Find losses worth taking, where the account wants to be told and has not been this week."""
        account = self.settings.accounts.get(event.account)
        year, number, _ = date.fromisoformat(event.session).isocalendar()
        week = f"{year}-W{number:02d}"
        told = self.state.losses_told.get(event.account)
        if account is None or not account.harvest.watch or event.account not in self.state.book.accounts:
            return []
        spec = TargetsSubmitted(
            at=event.at, request_id="", account=event.account, targets={}, as_of=event.at,
            expires_at=event.at, harvest=True,
        )  # fmt: skip
        if told == week or self._outlook.without_price(spec):
            return []
        found = losses_worth_taking(self._outlook.view_of(spec))
        if not found.swaps:
            return []
        names = tuple(swap.sell.symbol for swap in found.swaps)
        loss, net = sum(swap.loss for swap in found.swaps), sum(swap.net for swap in found.swaps)
        text = (
            f"{event.account}: losses of {loss:,.2f} in {', '.join(names[:5])} are worth taking, {net:,.2f} "
            f"is left after later tax, cost and risk; `gateway harvest --account {event.account}` shows them"
        )
        return [Record(LossesFound(event.at, event.account, week, names, loss, net, text))]

    def check(self, event: CheckDue) -> list[Effect]:
        """Compare one account with its standing targets; nothing when it has none or is not watched."""
        account = self.settings.accounts.get(event.account)
        standing = self.state.standing.get(event.account)
        if account is None or standing is None or not account.monitoring.is_on:
            return []
        spec = _wanted(event, standing, account.monitoring)
        why_not = self._why_unknown(spec)
        if why_not:
            text = f"drift of {event.account} cannot be measured: {why_not}"
            return [Record(self._found(event, DriftLevel.UNKNOWN, None, text, ""))]
        found = survey(self._outlook.view_of(spec))
        level = _level(found, account.monitoring)
        text = _words(event.account, found, account.monitoring, level)
        if level is not DriftLevel.CRITICAL:
            return [Record(self._found(event, level, found, text, ""))]
        return self._critical(event, found, text, spec, standing)

    def _critical(
        self, event: CheckDue, found: Survey, text: str, spec: TargetsSubmitted, standing: Standing
    ) -> list[Effect]:
        """Submit the standing targets again, unless something speaks against it."""
        level = DriftLevel.CRITICAL
        if spec.request_id in self.state.requests:
            return [Record(self._found(event, level, found, f"{text}; {spec.request_id} is about it", ""))]
        if why_not := self._why_untouched(event.account, standing):
            return [Record(self._found(event, level, found, f"{text}; nothing is sent: {why_not}", ""))]
        if spec.mode is Mode.EXECUTE:
            todo = f"request {spec.request_id} rebalances it now"
        else:
            until = f"{spec.expires_at:%Y-%m-%d %H:%M} UTC"
            todo = f"`gateway approve {spec.request_id}` before {until} rebalances it"
        checked = self._found(event, level, found, f"{text}; {todo}", spec.request_id)
        return [Record(checked), Record(spec)]

    def tell(self, event: DriftChecked) -> list[Effect]:
        """Tell a person what was found, if it is news."""
        if not event.is_news:
            return []
        return [Alert(_SEVERITY[event.level], _CODE[event.level], event.text, event.account)]

    def _why_unknown(self, spec: TargetsSubmitted) -> str:
        """Say why weights cannot be known now, empty when they can."""
        gone = sorted(set(spec.targets) - set(self.settings.instruments))
        if gone:
            return f"the targets name {', '.join(gone[:5])}, which the configuration no longer knows"
        missing = self._outlook.without_price(spec)
        if missing:
            account = self.settings.accounts[spec.account]
            return f"no fresh price for {self._outlook.lacking(account, missing)}"
        nav = survey(self._outlook.view_of(spec)).nav
        return "" if nav > 0 else f"NAV of {nav:.2f} is not positive"

    def _why_untouched(self, account: str, standing: Standing) -> str:
        """Say why no request may be made now, empty when one may."""
        if halt := self.state.halt_reason(account):
            return f"the account is halted: {halt}"
        if standing.cancelled_by:
            return f"request {standing.request_id}, whose targets these are, was cancelled"
        for request in self.state.requests.values():
            if request.spec.account == account and not request.state.is_final:
                return f"request {request.spec.request_id} is not finished"
        return ""

    def _found(
        self, event: CheckDue, level: DriftLevel, found: Survey | None, text: str, request_id: str
    ) -> DriftChecked:
        """Make the record of one look."""
        told = told_in(self.state, event.account, event.session)
        if found is None or not found.symbols:
            drift, max_drift, symbol = 0.0, 0.0, ""
        else:
            drift, max_drift = found.drift, found.max_drift
            symbol = found.symbols[int(np.abs(found.gap).argmax())]
        return DriftChecked(
            at=event.at, account=event.account, session=event.session, level=level, drift=drift,
            max_drift=max_drift, symbol=symbol, text=text, request_id=request_id,
            is_news=level.is_news_after(told) or bool(request_id),
        )  # fmt: skip


def request_id_of(account: str, session: str) -> str:
    """Name the one request that the monitor may make for an account in a session."""
    if len(account) > LONGEST_ACCOUNT:
        account = f"{account[:38]}-{hashlib.sha256(account.encode()).hexdigest()[:8]}"
    return f"{PREFIX}{account}:{session}"


def _wanted(event: CheckDue, standing: Standing, monitoring: Monitoring) -> TargetsSubmitted:
    """Return the standing targets as the request that would be made now."""
    is_automatic = monitoring.auto_execute
    return TargetsSubmitted(
        at=event.at,
        request_id=request_id_of(event.account, event.session),
        account=event.account,
        targets=standing.targets,
        as_of=event.at,
        expires_at=_expiry(event, monitoring),
        others=standing.others,
        mode=Mode.EXECUTE if is_automatic else Mode.APPROVE,
        execution=standing.execution,
        policy=standing.policy,
    )


def _expiry(event: CheckDue, monitoring: Monitoring) -> datetime:
    return min(event.closes_at, event.at + timedelta(seconds=float(monitoring.approval_s)))


def _level(found: Survey, monitoring: Monitoring) -> DriftLevel:
    """Judge the largest drift of one name; exactly at a limit is within it."""
    drift = found.max_drift - NOISE
    if drift > float(monitoring.critical_drift):
        return DriftLevel.CRITICAL
    return DriftLevel.WARNING if drift > float(monitoring.warning_drift) else DriftLevel.CALM


def _words(account: str, found: Survey, monitoring: Monitoring, level: DriftLevel) -> str:
    """Say in one sentence how far off the account is."""
    if level is DriftLevel.CALM:
        return f"{account} is within {found.max_drift:.2%} of its targets"
    worst = int(np.abs(found.gap).argmax())
    limit = monitoring.critical_drift if level is DriftLevel.CRITICAL else monitoring.warning_drift
    return (
        f"{account}: {found.symbols[worst]} is {found.expected[worst]:.2%} of NAV, its target is "
        f"{found.target[worst]:.2%}; the {level} limit is {limit:.2%}"
    )
