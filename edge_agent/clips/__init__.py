"""The built-in clip as data: people pass a camera, on a timetable that `pedestrians.md` holds."""
