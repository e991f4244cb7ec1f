"""Accounts of a build and its report.html."""
