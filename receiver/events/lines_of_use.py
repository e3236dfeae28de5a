"""The log lines about versions in use: what a health hook found, recalls, drills, and how old they are."""

from typing import Final

from diode.log import log
from receiver.events.happened import DrillEnded, HealthFound, HealthUnsaid, LagBreached, LagRecovered, RecallChanged

UNSAID_DO: Final = "make the state folder writable; it is tried again"
EARLY_DO: Final = "nothing: when it arrives it is published, and nothing of it is served"
BREACHED_DO: Final = "send newer content on this channel; diode-receiver lag shows all of them"


def tell_of_use(event: HealthFound | HealthUnsaid | RecallChanged | DrillEnded | LagBreached | LagRecovered) -> None:
    """Write the line of an event."""
    match event:
        case HealthFound(row, is_healthy, detail):
            level, said = (20, "version_healthy") if is_healthy else (40, "version_unhealthy")
            log.log(level, said, bundle=row.id, label=row.label, detail=detail)
        case HealthUnsaid(row, detail):
            log.error("health_not_recorded", bundle=row.id, label=row.label, detail=detail, do=UNSAID_DO)
        case RecallChanged():
            _tell_of_recall(event)
        case DrillEnded(drill):
            level = 20 if drill.passed else 40
            said = "passed" if drill.passed else drill.detail
            log.log(level, "drill_ended", drill=drill.id, pointer=drill.label, outcome=said, report=drill.report)
        case LagBreached() | LagRecovered():
            _tell_of_lag(event)


def _tell_of_lag(event: LagBreached | LagRecovered) -> None:
    lag = event.lag
    facts = {"channel": lag.channel, "dated": lag.dated, "dated_by": lag.dated_by, "days": int(lag.days or 0)}
    if isinstance(event, LagBreached):
        log.warning("lag_breached", **facts, budget_days=lag.budget.breach_days, last_bundle=lag.last, do=BREACHED_DO)
    else:
        log.info("lag_recovered", **facts, budget_days=lag.budget.breach_days)


def _tell_of_recall(event: RecallChanged) -> None:
    recall = event.recall
    label = f"{recall.channel}/{recall.name}/{recall.version}"
    if recall.undone:
        log.warning("recall_undone", bundle=recall.bundle, label=label, reason=recall.reason)
        return
    do = f"diode-receiver recall {recall.bundle} shows who took it; promote another version, or roll back"
    log.error(
        "bundle_recalled",
        bundle=recall.bundle,
        label=label,
        reason=recall.reason,
        who=recall.who,
        do=do if event.is_here else EARLY_DO,
    )
