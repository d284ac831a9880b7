"""Invoices as providers export them."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from controller.audit.invoices import UnclearInvoice, read_invoice

ANTHROPIC = """usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd,list_price_usd,cost_type
2026-11-02,Claude Sonnet 4.6,Default,bot,message,input_no_cache,1.25,1.25,token
2026-11-03,Claude Sonnet 4.6,Default,bot,message,output,3.75,3.75,token
"""
FOCUS = """BilledCost,BillingCurrency,ChargePeriodStart,ChargeDescription,ServiceName
12.50,USD,2026-11-01T00:00:00Z,Claude Sonnet input tokens,Amazon Bedrock
99.00,USD,2026-11-01T00:00:00Z,m7g.large,Amazon Elastic Compute Cloud
0,USD,2026-11-09T00:00:00Z,Claude Sonnet output tokens,Amazon Bedrock
"""
CUR = """lineItem/UsageStartDate,lineItem/UsageType,lineItem/UnblendedCost,lineItem/CurrencyCode,product/ProductName
2026-11-04T10:00:00Z,USE1-Nova-Lite-input-tokens,0.5,USD,Amazon Bedrock
"""
OPENAI = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item
1793836800,1793923200,2026-11-05T00:00:00+00:00,2026-11-06T00:00:00+00:00,2.5,usd,"gpt-5, input"
"""
PLAIN = 'date,model,cost\n2026-11-01,gpt-5,"$1,200.50"\n,,\n'


@pytest.mark.parametrize(
    ("text", "usd", "days"),
    [
        (ANTHROPIC, "5.00", (date(2026, 11, 2), date(2026, 11, 3))),
        (FOCUS, "12.50", (date(2026, 11, 1), date(2026, 11, 1))),
        (CUR, "0.5", (date(2026, 11, 4), date(2026, 11, 4))),
        (OPENAI, "2.5", (date(2026, 11, 5), date(2026, 11, 5))),
        (PLAIN, "1200.50", (date(2026, 11, 1), date(2026, 11, 1))),
        ("\ufeffcost\n3\n4\n", "7", None),
    ],
)
def test_what_was_billed(tmp_path: Path, text: str, usd: str, days: tuple[date, date] | None) -> None:
    path = tmp_path / "invoice.csv"
    path.write_text(text, encoding="utf-8")
    invoice = read_invoice(path, "openai")
    assert invoice.usd == Decimal(usd)
    assert invoice.days == days


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: no column of money"),
        ("model,tokens\ngpt-5,3\n", ":1: no column of money"),
        ("cost\nfree\n", ':2: cost is no amount: "free"'),
        ("cost\nNaN\n", ':2: cost is no amount: "NaN"'),
        ("cost,currency\n3,EUR\n", ":2: cost is in EUR; only US dollars"),
        ("cost,date\n3,yesterday\n", ':2: "yesterday" is no day'),
        ('cost\n"3\n', "cannot be read as CSV"),
    ],
)
def test_an_unclear_invoice_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "invoice.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnclearInvoice) as refused:
        read_invoice(path, "openai")
    assert says in str(refused.value)
