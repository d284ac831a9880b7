"""Grafana's dashboard as the chart carries it, made from a table of panels. `python -m tests.charts` writes it."""

import json
from dataclasses import dataclass
from typing import Any, Final

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, HEIGHT = 2, 8
WIDTH = 24 // COLUMNS


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    """Grafana's name for it."""
    queries: tuple[tuple[str, str], ...]
    """PromQL and the legend."""
    kind: str = "timeseries"


USE_CASE: Final = 'use_case=~"$use_case"'


def rate(metric: str, by: str = "", where: str = USE_CASE) -> str:
    """A second's, summed up by some labels; `where`: PromQL's matchers."""
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (rate({metric}{{{where}}}[$__rate_interval]))"


def p95(metric: str) -> str:
    return f"histogram_quantile(0.95, {rate(f'{metric}_bucket', 'le')})"


CALLS: Final = "pointsman_calls_total"
FAILED: Final = f'{USE_CASE}, outcome!~"ok|client_closed"'
PANELS: Final = (
    Panel("Calls by model", "reqps", ((rate(CALLS, "model"), "{{model}}"),)),
    Panel(
        "Calls that failed", "percentunit",
        ((f"{rate(CALLS, 'use_case', FAILED)} / {rate(CALLS, 'use_case')}", "{{use_case}}"),),
    ),
    Panel("Calls by why their target was chosen", "reqps", ((rate(CALLS, "reason"), "{{reason}}"),)),
    Panel(
        "p95 to the first content, and of whole calls", "s",
        (
            (p95("pointsman_first_token_seconds"), "first content"),
            (p95("pointsman_call_duration_seconds"), "whole call"),
        ),
    ),
    Panel(
        "US dollars an hour", "currencyUSD",
        (
            (f"{rate('pointsman_cost_usd_total', 'use_case')} * 3600", "{{use_case}}"),
            (f"{rate('pointsman_wasted_usd_total')} * 3600", "wasted"),
        ),
    ),
    Panel(
        "Spent of ceilings", "percentunit",
        ((f"max by (use_case, window) (pointsman_ceiling_spent_ratio{{{USE_CASE}}})", "{{use_case}}, {{window}}"),),
    ),
    Panel(
        "Attempts that failed, by provider", "reqps",
        ((rate("pointsman_attempts_total", "provider, outcome", 'outcome!="ok"'), "{{provider}}: {{outcome}}"),),
    ),
    Panel(
        "Answers that failed a check", "reqps",
        ((
            rate("pointsman_quality_checks_total", "model, check", f'{USE_CASE}, result="fail"'),
            "{{model}}: {{check}}",
        ),),
    ),
    Panel("Sidecars by state", "short", (("max by (state) (pointsman_sidecars)", "{{state}}"),)),
    Panel(
        "Canaries' share", "percentunit",
        ((
            f"max by (use_case, model, state) (pointsman_canary_ratio{{{USE_CASE}}})",
            "{{use_case}}: {{model}}, {{state}}",
        ),),
    ),
    Panel(
        "Records that wait", "short",
        (
            ("sum(pointsman_spool_pending_records)", "in spools"),
            ("max(pointsman_ledger_waiting_batches)", "batches at the ledger"),
        ),
    ),
    Panel("Reviews overdue", "short", (("max by (use_case) (pointsman_review_overdue) > 0", "{{use_case}}"),), "stat"),
)  # fmt: skip


def document() -> dict[str, Any]:
    return {
        "title": "Pointsman", "uid": "pointsman", "tags": ["pointsman"], "schemaVersion": 39, "editable": True,
        "refresh": "1m", "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            {"name": "use_case", "label": "Use case", "type": "query", "datasource": DATASOURCE, "refresh": 2,
             "query": "label_values(pointsman_calls_total, use_case)", "includeAll": True, "multi": True,
             "allValue": ".*", "current": {"text": "All", "value": "$__all"}},
        ]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }  # fmt: skip


def text() -> str:
    return json.dumps(document(), indent=1) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1, "type": panel.kind, "title": panel.title, "datasource": DATASOURCE,
        "gridPos": {"x": number % COLUMNS * WIDTH, "y": number // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip
