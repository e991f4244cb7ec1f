"""Tags: curated lists, cleaning, queries."""
