"""Every picture and report, drawn from the records that runs leave; nothing here imports torch."""
