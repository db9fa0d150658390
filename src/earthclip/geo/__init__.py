"""Geometry of the Earth: distances and bearings on the sphere, the Equal Earth projection, HEALPix cells.

Everything takes and gives float64 coordinates in degrees, (latitude, longitude), longitude in [-180, 180).
"""
