"""Loops, schedules, devices and what watches over them."""
