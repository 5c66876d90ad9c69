"""The bytes of images, sounds and other files that requests consist of, kept by their SHA-256 where `files` says.

A trace holds the digest of such bytes and never where they are: that follows from the digest and the setting.
"""
