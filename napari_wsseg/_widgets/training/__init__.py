"""The Train panel: settings, a running training, and what came of it."""
