"""Rules over the canonical schema: thresholds with reasons -> recording and alerting rules -> rule files."""
