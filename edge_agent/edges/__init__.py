"""Everything that touches the world: cameras, models, the disk, the broker, the clock."""
