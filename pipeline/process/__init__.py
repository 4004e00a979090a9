"""What every process needs: settings, logging, child processes, bounded shutdown."""
