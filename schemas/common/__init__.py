"""What every command needs, whatever it does: options, errors, files, cores."""
