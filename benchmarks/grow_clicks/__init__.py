"""Clicks until a mask is right, by tool, and the films they are counted on."""
