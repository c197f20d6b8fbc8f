"""From recordings of any length to detections, and the tables that remember them."""
