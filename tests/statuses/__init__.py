"""Statuses as each released version has written them, with everything that they were decided from.

v0.1.0 was recorded shortly before its release. The rule that an empty map of annotations is none came after
that, so the hashes of the templates that have one were brought to it by hand; nothing else was touched.
"""
