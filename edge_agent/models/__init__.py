"""The built-in detectors as data: files, labels, cards and licences, listed in `manifest.json`."""
