"""How the built-in clip is made: pictures that belong to everybody, walked past a camera that never was."""
