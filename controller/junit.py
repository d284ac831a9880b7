"""Rule tests as JUnit XML, which CI systems show test by test. Pure."""

from collections.abc import Sequence
from xml.etree import ElementTree

from controller.ruletests import TestResult


def junit(results: Sequence[TestResult]) -> bytes:
    """One suite per use case; a promise that does not hold is a failure with its places."""
    suites = ElementTree.Element("testsuites", tests=str(len(results)), failures=_failed(results))
    for use_case in dict.fromkeys(result.use_case for result in results):
        own = [result for result in results if result.use_case == use_case]
        suite = ElementTree.SubElement(suites, "testsuite", name=use_case, tests=str(len(own)), failures=_failed(own))
        for result in own:
            case = ElementTree.SubElement(suite, "testcase", classname=use_case, name=result.name)
            if not result.holds:
                failure = ElementTree.SubElement(case, "failure", message=result.problems[0].message)
                failure.text = "\n".join(map(str, result.problems))
    written: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written


def _failed(results: Sequence[TestResult]) -> str:
    return str(sum(not result.holds for result in results))
