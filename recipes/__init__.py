"""How the data files that ship with edge-agent are rebuilt from public packages."""
