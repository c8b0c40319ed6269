"""The language of suite files: safe YAML with line numbers, axes, rules, parents, settings. YAML has its only door here."""
