"""From files to scores: windows, batches, models; here or in a Beam job."""
