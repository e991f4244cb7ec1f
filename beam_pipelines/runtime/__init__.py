"""What runs it all: file systems, runners, locks, progress, work that goes on after a kill."""
