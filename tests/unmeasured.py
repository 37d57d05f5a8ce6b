"""Tests that run without coverage, because tracing them takes long and shows lines that other tests show too.

They check as much as any; what they run is counted as covered only where another test runs it. Each file stands here
because tracing it took a second or more, and because it alone reached next to nothing.
"""

from __future__ import annotations

UNMEASURED = frozenset(
    {
        # The documents' commands, each of which has a test of its own under tests/inferwatch.
        "tests/test_docs.py",
        # Real servers and browsers over what the packages' own tests go through line by line.
        "tests/e2e/test_alerts_live.py",
        "tests/e2e/test_alerts_recordings.py",
        "tests/e2e/test_dashboards_data.py",
        "tests/e2e/test_dashboards_preview.py",
        "tests/e2e/test_diagnose_live.py",
        "tests/e2e/test_exporter_prometheus.py",
        "tests/e2e/test_html_report.py",
        # The same few functions over every case of a table, every recording, or what hypothesis makes up.
        "tests/alerts/test_alertmanager.py",
        "tests/alerts/test_direct.py",
        "tests/alerts/test_expected_models.py",
        "tests/alerts/test_generate.py",
        "tests/alerts/test_records_compute.py",
        "tests/catalog/test_engines.py",
        "tests/catalog/test_exposition.py",
        "tests/dashboards/test_board_files.py",
        "tests/dashboards/test_board_lints.py",
        "tests/exporter/deploy/test_deploy_schemas.py",
        "tests/exporter/engines/test_relabel.py",
        "tests/exporter/test_direct_scrape.py",
        "tests/exporter/test_exporter_config.py",
        "tests/inferwatch/test_diagnose_command.py",
        "tests/inferwatch/test_diagnose_terminal.py",
        "tests/inferwatch/test_diagnose_unreadable.py",
        "tests/inferwatch/test_short_way.py",
        "tests/runbooks/test_runbook_flags.py",
        "tests/runbooks/test_runbook_pages.py",
        "tests/test_architecture.py",
        "tests/troubleshoot/logs/test_facts.py",
        "tests/troubleshoot/logs/test_grammar.py",
        "tests/troubleshoot/logs/test_keeper.py",
        "tests/troubleshoot/logs/test_literals.py",
        "tests/troubleshoot/plan/test_plan_options.py",
        "tests/troubleshoot/plan/test_plan_properties.py",
        "tests/troubleshoot/preflight/test_preflight_hostile.py",
        "tests/troubleshoot/report/test_report_html.py",
        "tests/troubleshoot/report/test_report_html_hostile.py",
        "tests/troubleshoot/test_evidence.py",
    }
)
"""Files, from the folder of the project."""
