"""The settings of every recipe, without torch, and their presets."""
