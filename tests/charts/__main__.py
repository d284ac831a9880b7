"""`python -m tests.charts`: writes what the chart holds of others: the table of values, the dashboard, the alerts."""

from tests.charts import dashboard, values_table
from tests.fakes.processes import REPOSITORY

CHART = REPOSITORY / "helm" / "pointsman"

values_table.write(CHART)
(CHART / "files/dashboards/pointsman.json").write_text(dashboard.text())
alerts = (REPOSITORY / "examples/alerts/pointsman.rules.yaml").read_bytes()
(CHART / "files/alerts/pointsman.rules.yaml").write_bytes(alerts)
